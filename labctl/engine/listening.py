"""Listening on wires for a person, until it is stopped: to a file or a pipe for Wireshark, or decoded by tshark, frame by frame.

Owns what is done with the frames: one wire as tcpdump writes it, several as one pcapng with the lab's names, or as `Packet`s. Captures
that checks judge are `engine/capture`'s.
"""

import contextlib
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from typing import IO

from labctl.check.decoding import Packet, decode_argv, parse_row
from labctl.check.frames import SETTINGS
from labctl.check.pcapng import render_head, render_record
from labctl.engine.capture import tcpdump_argv
from labctl.engine.ears import Ears
from labctl.engine.instances import InstanceRecord
from labctl.errors import CommandError, UsageError
from labctl.host.run import clean_environment, start, stop

END_S = 5.0
ALL = "all"


def ends_of(record: InstanceRecord, words: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """The interfaces that the first words name (or `all`: one end of each cable), and the rest, a pcap-filter(7)."""
    known = {f"{node.name}:{port.name}" for node in record.nodes for port in node.ports}
    count = next((number for number, word in enumerate(words) if word not in known and word != ALL), len(words))
    named = [end for word in words[:count] for end in ([a for a, _ in record.cables] if word == ALL else [word])]
    if not named:
        word = words[0] if words else ""
        raise UsageError(
            f"no interface `{word}`", why="a capture names wires first", hint="labctl link show lists them; all takes every cable"
        )
    return tuple(dict.fromkeys(named)), " ".join(words[count:])


def listen(
    record: InstanceRecord, end: str, *, output: IO[bytes], complaints: IO[bytes], expression: str = "", seconds: float | None = None
) -> None:
    """Write what passes `end` to `output` as pcap, for `seconds` or until KeyboardInterrupt, which is its natural end.

    What tcpdump says goes to `complaints`; `CommandError` if the capture does not start.
    """
    tcpdump = start(tcpdump_argv(record, end, expression=expression), stdout=output, stderr=complaints)
    try:
        tcpdump.wait(timeout=seconds)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        tcpdump.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            tcpdump.wait(timeout=END_S)
        return
    finally:
        stop(tcpdump)
    if tcpdump.returncode:
        raise CommandError(f"the capture on {end} ended with status {tcpdump.returncode}", why="tcpdump's own words stand above")


def write_merged(ears: Ears, names: Sequence[str], output: IO[bytes], seconds: float | None = None) -> None:
    """Write what passes as one pcapng, merged in time, until KeyboardInterrupt or the time is over."""
    output.write(render_head(names))
    output.flush()
    for one in ears.frames(seconds):
        output.write(render_record(one))
        output.flush()


def packets(ears: Ears, names: Sequence[str], seconds: float | None = None) -> Iterator[Packet]:
    """What passes, decoded, until KeyboardInterrupt or the time is over."""
    environment = clean_environment(SETTINGS)
    tshark = start(decode_argv("-"), env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    feeder = threading.Thread(target=_feed, args=(ears, names, tshark, seconds), daemon=True)
    feeder.start()
    assert tshark.stdout is not None
    try:
        for row in _until_interrupted(ears, iter(tshark.stdout.readline, b"")):
            if (packet := parse_row(row.decode(errors="replace"))) is not None:
                yield packet
    finally:
        ears.finish()
        feeder.join(END_S)
        stop(tshark)


def _feed(ears: Ears, names: Sequence[str], tshark: "subprocess.Popen[bytes]", seconds: float | None) -> None:
    assert tshark.stdin is not None
    with contextlib.suppress(OSError, ValueError):  # tshark has gone
        write_merged(ears, names, tshark.stdin, seconds)
        tshark.stdin.close()


def _until_interrupted(ears: Ears, rows: Iterator[bytes]) -> Iterator[bytes]:
    """All rows; after Ctrl-C those of frames that had come by then."""
    while True:
        try:
            row = next(rows, None)
        except KeyboardInterrupt:
            ears.finish()
            continue
        if row is None:
            return
        yield row

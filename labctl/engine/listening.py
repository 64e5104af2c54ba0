"""Listening on a wire for a person: to a file, to a pipe for Wireshark, or decoded, a line for each frame, until it is stopped.

Owns the two programs of that (tcpdump inside the instance, tshark here) and their end. Captures that checks judge are
`engine/capture`'s.
"""

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from typing import IO

from labctl.engine.capture import tcpdump_argv
from labctl.engine.instances import InstanceRecord
from labctl.errors import CommandError
from labctl.host.run import start, stop

DECODE = ("tshark", "-n", "-l", "-r", "-")  # -l: each line at once; a filter for display is tshark's own affair
END_S = 5.0


def listen(
    record: InstanceRecord,
    end: str,
    *,
    output: IO[bytes],
    complaints: IO[bytes],
    expression: str = "",
    decode: bool = False,
    seconds: float | None = None,
) -> None:
    """Write what passes `end` to `output`, as pcap or decoded, for `seconds` or until KeyboardInterrupt, which is its natural end.

    `expression` is a pcap-filter(7). What the programs say goes to `complaints`; `CommandError` if the capture does not start.
    """
    argv = tcpdump_argv(record, end, expression=expression)
    with _running(argv, stdout=subprocess.PIPE if decode else output, stderr=complaints) as tcpdump:
        if not decode:
            return _wait(end, tcpdump, tcpdump, seconds)
        with _running(DECODE, stdin=tcpdump.stdout, stdout=output, stderr=subprocess.DEVNULL) as tshark:
            _wait(end, tcpdump, tshark, seconds)


@contextlib.contextmanager
def _running(
    argv: tuple[str, ...], *, stdout: "int | IO[bytes]", stderr: "int | IO[bytes]", stdin: "int | IO[bytes] | None" = subprocess.DEVNULL
) -> "Iterator[subprocess.Popen[bytes]]":
    process = start(argv, stdin=subprocess.DEVNULL if stdin is None else stdin, stdout=stdout, stderr=stderr)
    try:
        yield process
    finally:
        stop(process)


def _wait(end: str, tcpdump: "subprocess.Popen[bytes]", last: "subprocess.Popen[bytes]", seconds: float | None) -> None:
    """Until tcpdump ends, the time is over, the reader has gone or the person stops it; then all that was caught is written out."""
    try:
        last.wait(timeout=seconds)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        tcpdump.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            last.wait(timeout=END_S)
        return
    if tcpdump.poll() not in (None, 0):
        raise CommandError(f"the capture on {end} ended with status {tcpdump.returncode}", why="tcpdump's own words stand above")

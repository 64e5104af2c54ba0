"""Captures on the wires of a running instance: tcpdump inside its namespaces, on the taps, outside the nodes.

Owns their start (awaited: a capture that does not start is an error), their end and their files, which lie in memory: a tcpdump that
waits for a busy disk loses frames. What a capture means is `check/frames`'s; decoding is tshark's.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from labctl.engine.instances import InstanceRecord
from labctl.engine.links import port_at
from labctl.engine.session import argv_inside
from labctl.errors import CommandError
from labctl.host.run import ending_with_us, start, stop

START_S = 15.0
BUFFER_KIB = 8192  # a slot holds a frame of the taps' MTU: some 800 may wait for a busy machine, not 200 as by default
QUIET_S = 0.25  # a file that did not grow for so long has all that passed before
DRAIN_S = 5.0


def tcpdump_argv(record: InstanceRecord, end: str, *, expression: str = "", sent: bool = False) -> tuple[str, ...]:
    """tcpdump on the tap of `end`, whole frames, unbuffered, as pcap to standard output; `sent`: only what leaves the node there."""
    tap = port_at(record, end).tap
    direction = ("-Q", "in") if sent else ()  # what the node sends comes in from the tap
    tcpdump = (
        "tcpdump",
        "-i",
        tap,
        "-s",
        "0",
        "-B",
        str(BUFFER_KIB),
        "-U",
        "--immediate-mode",
        "-n",
        *direction,
        "-w",
        "-",
        *expression.split(),
    )
    return ending_with_us(argv_inside(record, tcpdump))


def file_in_memory(name: str) -> IO[bytes]:
    """An empty file that is gone when it is closed, or this process ends (memfd_create(2))."""
    return os.fdopen(os.memfd_create(name), "w+b")


def path_of(file: IO[bytes]) -> Path:
    """Where other programs of the same user find an open file."""
    return Path(f"/proc/{os.getpid()}/fd/{file.fileno()}")


@contextlib.contextmanager
def capture(record: InstanceRecord, files: Mapping[str, IO[bytes]], *, sent: bool = False) -> Iterator[None]:
    """Capture each end into its file while the block runs; they are whole once it is left. `CommandError` if one does not start."""
    with contextlib.ExitStack() as stack:
        running = {}
        for end, file in files.items():
            running[end] = start(tcpdump_argv(record, end, sent=sent), stdout=file, stderr=subprocess.PIPE)
            stack.callback(stop, running[end])
        for end, process in running.items():
            wait_until_listening(end, process)
        yield
        _wait_until_quiet(list(files.values()))
        for process in running.values():
            process.send_signal(signal.SIGINT)
        for process in running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5)


def wait_until_listening(end: str, process: "subprocess.Popen[bytes]") -> None:
    """Return once tcpdump listens; `CommandError` with its own words if it does not."""
    assert process.stderr is not None
    os.set_blocking(process.stderr.fileno(), False)
    said = b""
    deadline = time.monotonic() + START_S
    while b"listening on" not in said:
        if process.poll() is not None or time.monotonic() > deadline:
            why = said.decode(errors="replace").strip() or f"tcpdump was not listening after {START_S:g} s"
            raise CommandError(f"the capture on {end} did not start", why=why, status=process.returncode or 0, output=why)
        said += process.stderr.read() or b""
        time.sleep(0.005)


def _wait_until_quiet(files: Sequence[IO[bytes]]) -> None:
    """What passed is in the files once they stop growing, or after five seconds of traffic that does not end."""
    deadline = time.monotonic() + DRAIN_S
    sizes: list[int] = []
    while time.monotonic() < deadline:
        before, sizes = sizes, [os.fstat(file.fileno()).st_size for file in files]
        if sizes == before:
            return
        time.sleep(QUIET_S)


@contextlib.contextmanager
def capture_all(record: InstanceRecord, file: Path) -> Iterator[None]:
    """Every cable of the instance in one pcapng, with a list of which interface is which beside it, while the block runs.

    Nothing is written for a lab without cables.
    """
    if not record.cables:
        yield
        return
    taps = {a: port_at(record, a).tap for a, _ in record.cables}
    file.with_suffix(".txt").write_text("".join(f"{tap} {end}\n" for end, tap in taps.items()))
    interfaces = [word for tap in taps.values() for word in ("-i", tap)]
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(file.open("wb"))
        process = start(ending_with_us(argv_inside(record, ("dumpcap", "-q", *interfaces, "-w", "-"))), stdout=output)
        stack.callback(stop, process)
        yield
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)

"""The program that works in a node for labctl, `worker.pl`: one piece of work from standard input, or all that comes at a port.

Owns how work and answers travel on the port. A machine that is to be copied lets the program wait there: in its copies it is compiled
already, and neither it nor the guest agent has to be started for each step, which under emulation costs more than most steps do. It is
perl (in every Debian: perl-base is essential), one process, since each further one costs 0.1 s there. A guest is not trusted.
"""

import re
from pathlib import Path
from typing import Literal, Protocol

from labctl.errors import StepError
from labctl.guest.agent import Completed

Kind = Literal["step", "hold", "renew", "end"]  # guest/bundle; let journald wait for its machine-id; guest/renewal; no more
PORT = "labctl.worker"  # the name of the virtio-serial port in the domain's XML (templates/domain.xml.j2)
PROGRAM = ("/usr/bin/perl", "-e", Path(__file__).with_name("worker.pl").read_text())
SERVE = (*PROGRAM, "serve", f"/dev/virtio-ports/{PORT}")
ANSWER = re.compile(rb"(\d{1,3}) (\d{1,5})")  # the program cuts what was said to 65,536 bytes
STARTED_S = 15.0


class Port(Protocol):
    """The host's end of a node's port."""

    def send(self, data: bytes, *, timeout_s: float) -> None: ...
    def read_line(self, *, timeout_s: float) -> bytes: ...
    def read(self, length: int, *, timeout_s: float) -> bytes: ...


class Worker:
    """The program that waits in one node, at the other end of an open port."""

    def __init__(self, port: Port, node: str) -> None:
        self._port = port
        self._node = node

    def do(self, kind: Kind, data: bytes = b"", *, timeout_s: float) -> Completed:
        """Give it a piece of work and wait for its end: `TimedOut` after `timeout_s`, `StepError` if it has gone or answers nonsense."""
        self.give(kind, data, timeout_s=timeout_s)
        return self.answer(timeout_s=timeout_s)

    def give(self, kind: Kind, data: bytes = b"", *, timeout_s: float) -> None:
        """Send a piece of work; a machine that stands still finds it when it runs."""
        self._port.send(f"{kind} {len(data)}\n".encode() + data, timeout_s=timeout_s)

    def answer(self, *, timeout_s: float) -> Completed:
        """How the piece of work that was given ended: all that was said, the last 64 KiB of it, is standard output."""
        line = self._port.read_line(timeout_s=timeout_s)
        found = ANSWER.fullmatch(line)
        if found is None:
            raise StepError(f"{self._node}: what waits at its port answers nonsense", why=repr(line[:200]))
        return Completed(int(found[1]), self._port.read(int(found[2]), timeout_s=timeout_s), b"")

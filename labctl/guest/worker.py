"""The program that works in a node for labctl, `worker.pl`: one step from standard input, or all that comes at a port.

Owns how work and answers travel on the port: each piece of work has a number, which its answer bears; what else comes was for somebody who
gave up, and is dropped. A machine that is to be copied lets the program wait there: in its copies it is compiled
already, and neither it nor the guest agent has to be started for each step, which under emulation costs more than most steps do. It is
perl (in every Debian: perl-base is essential), one process, since each further one costs 0.1 s there. A guest is not trusted.
"""

import re
import secrets
import time
from pathlib import Path
from typing import Literal, Protocol

from labctl.errors import StepError
from labctl.guest.agent import Completed

Kind = Literal["step", "hold", "renew", "end"]  # guest/bundle; let journald wait for its machine-id; guest/renewal; no more
PORT = "labctl.worker"  # the name of the virtio-serial port in the domain's XML (templates/domain.xml.j2)
PROGRAM = ("/usr/bin/perl", "-e", Path(__file__).with_name("worker.pl").read_text())
SERVE = (*PROGRAM, "serve", f"/dev/virtio-ports/{PORT}")  # and the number of its greeting
PID_FILE = "/run/labctl-worker"  # there while it waits
PROTOCOL = 1  # what waits in machines that a person saved must understand what it is sent
ANSWER = re.compile(rb"(\w{1,32}) (\d{1,3}) (\d{1,5})")  # number, status, length: the program cuts what was said to 65,536 bytes
MOST_DROPPED = 256 * 1024  # bytes: some answers of 64 KiB
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
        return self.answer(self.give(kind, data, timeout_s=timeout_s), timeout_s=timeout_s)

    def give(self, kind: Kind, data: bytes = b"", *, timeout_s: float) -> str:
        """Send a piece of work, and return its number; a machine that stands still finds it when it runs."""
        number = new_number()
        self._port.send(f"{kind} {number} {len(data)}\n".encode() + data, timeout_s=timeout_s)
        return number

    def answer(self, number: str, *, timeout_s: float) -> Completed:
        """How the piece of work with this number ended: all that was said, the last 64 KiB of it, is standard output."""
        deadline, dropped, line = time.monotonic() + timeout_s, 0, b""
        while dropped < MOST_DROPPED:
            line = self._port.read_line(timeout_s=deadline - time.monotonic())
            found = ANSWER.fullmatch(line)
            said = self._port.read(int(found[3]), timeout_s=deadline - time.monotonic()) if found else b""
            if found is not None and found[1].decode() == number:
                return Completed(int(found[2]), said, b"")
            dropped += len(line) + len(said) + 1
        raise StepError(f"{self._node}: what waits at its port answers nonsense", why=repr(line[:200]))


def new_number() -> str:
    """One that no earlier piece of work had."""
    return secrets.token_hex(8)

"""A worker that waits, run here: real perl at a terminal that stands in for the port, with what would change this machine taken out."""

import os
import subprocess
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labctl.guest.agent import Completed
from labctl.guest.worker import PROGRAM, Worker

GREETING = "0123456789abcdef"
HARMLESS = {  # the kernel's clock, random numbers and journal of this machine stay as they are
    "syscall(227, 0, $now) == 0": "1",
    "ioctl($random, 0x40085203, ": "length(",
    "ioctl($random, 0x5207, 0)": "1",
    'kill("KILL", ': "kill(0, ",
    "/run/sshd.pid": "sshd.pid",
    "/run/labctl-sshd": "labctl-sshd",
    '"systemctl", "try-restart", "ssh.service"': '"touch", "restarted"',
    "syscall(133, $fifo, 0010444, 0) == 0 or return 0;": "return 0;",  # journald is held on real machines: tests/e2e/test_warm.py
    'chdir "/"': "1",
    '"/run/labctl-said"': '"said"',
    '"/run/labctl-worker"': '"pid"',
    '"/run/labctl-plugging"': '"plugging"',
    '"/run/step.$$"': '"step.$$"',
}


def harmless() -> str:
    text = PROGRAM[-1]
    for what, instead in HARMLESS.items():
        assert what in text
        text = text.replace(what, instead)
    return text


class Terminal:
    """A port as the worker's other end sees it."""

    def __init__(self, end: int, piece: int) -> None:
        self._end = end
        self.piece = piece  # bytes that come at a time
        self._lines = os.fdopen(os.dup(end), "rb")

    def send(self, data: bytes, *, timeout_s: float) -> None:
        for start in range(0, len(data), self.piece):
            os.write(self._end, data[start : start + self.piece])

    def read_line(self, *, timeout_s: float) -> bytes:
        return self._lines.readline().rstrip(b"\n")

    def read(self, length: int, *, timeout_s: float) -> bytes:
        return self._lines.read(length)

    def close(self) -> None:
        self._lines.close()


@contextmanager
def waiting(place: Path, piece: int = 100) -> "Iterator[tuple[Worker, subprocess.Popen[bytes]]]":
    """A worker that waits in `place`, and its process."""
    end, guest = os.openpty()
    tty.setraw(guest)
    process = subprocess.Popen((*PROGRAM[:2], harmless(), "serve", os.ttyname(guest), GREETING), cwd=place)
    terminal = Terminal(end, piece)
    try:
        worker = Worker(terminal, "pc1")
        assert worker.answer(GREETING, timeout_s=10) == Completed(0, b"", b"")
        yield worker, process
    finally:
        process.kill()
        process.wait(timeout=10)
        terminal.close()
        os.close(end)
        os.close(guest)

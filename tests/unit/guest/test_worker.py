"""The program that waits at a port: real perl at a terminal that stands in for the port; and what a guest may answer."""

import os
import subprocess
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from labctl.errors import StepError
from labctl.guest.agent import Completed
from labctl.guest.bundle import GuestFile, render_bundle
from labctl.guest.worker import PROGRAM, Worker
from tests.unit.guest.test_renewal import harmless, rendered

HELLO = (0, b"")


class Terminal:
    """A port as the worker's other end sees it."""

    def __init__(self, end: int) -> None:
        self._end = end
        self._lines = os.fdopen(os.dup(end), "rb")

    def send(self, data: bytes, *, timeout_s: float) -> None:
        for start in range(0, len(data), 100):  # in pieces, as it may come
            os.write(self._end, data[start : start + 100])

    def read_line(self, *, timeout_s: float) -> bytes:
        return self._lines.readline().rstrip(b"\n")

    def read(self, length: int, *, timeout_s: float) -> bytes:
        return self._lines.read(length)

    def close(self) -> None:
        self._lines.close()


@contextmanager
def waiting(place: Path) -> "Iterator[tuple[Worker, subprocess.Popen[bytes]]]":
    """A worker that waits, with what would change this machine taken out, its steps below `place`."""
    end, guest = os.openpty()
    tty.setraw(guest)
    program = harmless().replace('"/run/step.$$"', f'"{place}/step.$$"')
    process = subprocess.Popen((*PROGRAM[:2], program, "serve", os.ttyname(guest)), cwd=place)
    terminal = Terminal(end)
    try:
        worker = Worker(terminal, "pc1")
        assert worker.answer(timeout_s=10) == Completed(*HELLO, b"")
        yield worker, process
    finally:
        process.kill()
        process.wait(timeout=10)
        terminal.close()
        os.close(end)
        os.close(guest)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for directory in (".ssh", "ssh"):
        (tmp_path / directory).mkdir()
    return tmp_path


def test_it_does_one_step_after_the_other_and_says_how_each_ended(place: Path) -> None:
    file = GuestFile(str(place / "made"), b"\x00by a step\n", 0o640)
    with waiting(place) as (worker, _):
        done = worker.do("step", render_bundle("x", (file,), f"cat {place}/made; echo $LABCTL_FIRST >&2", first=True), timeout_s=10)
        assert (done.status, done.stdout) == (0, b"\x00by a step\n1\n")
        done = worker.do("step", render_bundle("x", (), "echo no such thing; exit 7", first=False), timeout_s=10)
        assert (done.status, done.stdout) == (7, b"no such thing\n")
        done = worker.do("step", render_bundle("x", (), "cat", first=False), timeout_s=10)
        assert (done.status, done.stdout) == (0, b""), "no command of a step reads what is not for it"
        assert [entry.name for entry in place.glob("step.*")] == []
    assert (place / "made").stat().st_mode & 0o777 == 0o640


def test_of_what_a_step_says_the_end_is_kept(place: Path) -> None:
    with waiting(place) as (worker, _):
        done = worker.do("step", render_bundle("x", (), "seq 100000", first=False), timeout_s=30)
        assert len(done.stdout) == 65536
        assert done.stdout.endswith(b"\n99999\n100000\n")


def test_nonsense_is_answered_and_the_next_piece_of_work_is_done(place: Path) -> None:
    with waiting(place) as (worker, _):
        refused = worker.do("step", b"dance 0 0 -\n", timeout_s=10)
        assert (refused.status, refused.stdout) == (255, b"dance: what is that?\n")
        assert worker.do("step", render_bundle("x", (), "true", first=False), timeout_s=10) == Completed(*HELLO, b"")


def test_after_a_renewal_nobody_waits_any_more(place: Path) -> None:
    with waiting(place) as (worker, process):
        assert worker.do("hold", timeout_s=10) == Completed(*HELLO, b"")
        assert worker.do("renew", rendered(place, "echo own > own"), timeout_s=10) == Completed(*HELLO, b"")
        assert process.wait(timeout=10) == 0
    assert (place / "machine-id").read_text() == "0" * 32 + "\n"
    assert (place / "own").read_text() == "own\n"


def test_a_renewal_that_fails_says_why(place: Path) -> None:
    with waiting(place) as (worker, _):
        done = worker.do("renew", rendered(place, "echo no room for it; exit 3"), timeout_s=10)
        assert (done.status, done.stdout) == (255, b"no room for it\nthe role's own renewal failed\n")


def test_one_that_is_not_needed_ends(place: Path) -> None:
    with waiting(place) as (worker, process):
        worker.do("end", timeout_s=10)
        assert process.wait(timeout=10) == 0


class Said:
    """A port at which a guest says whatever it likes."""

    def __init__(self, line: bytes) -> None:
        self._line = line

    def send(self, data: bytes, *, timeout_s: float) -> None:
        pass

    def read_line(self, *, timeout_s: float) -> bytes:
        return self._line

    def read(self, length: int, *, timeout_s: float) -> bytes:
        return b"x" * length


@pytest.mark.parametrize("line", [b"", b"0", b"0 ", b"0 999999999", b"-1 0", b"1000 0", b"0 0 0", b"zero 0", "０ ０".encode(), b"0 0\r"])
def test_a_guest_that_answers_nonsense_is_not_believed(line: bytes) -> None:
    with pytest.raises(StepError, match="nonsense"):
        Worker(Said(line), "pc1").do("step", timeout_s=1)

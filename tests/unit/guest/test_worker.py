"""The program that waits at a port: what it does, one piece of work after the other; and what a guest may answer."""

import io
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.errors import StepError
from labctl.guest.agent import Completed
from labctl.guest.bundle import GuestFile, render_bundle
from labctl.guest.provisioning import SHELL, Step, render_for_worker
from labctl.guest.worker import MOST_DROPPED, Worker
from tests.unit.guest.test_renewal import place as place
from tests.unit.guest.test_renewal import rendered
from tests.unit.guest.waiting import waiting

WELL = Completed(0, b"", b"")


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
        assert worker.do("step", render_bundle("x", (), "true", first=False), timeout_s=10) == WELL


@pytest.mark.parametrize("piece", [1, 100, 4096])
def test_what_somebody_who_gave_up_was_told_is_nobody_elses_answer(piece: int, place: Path) -> None:
    with waiting(place, piece) as (worker, process):
        process.send_signal(signal.SIGSTOP)  # both pieces of work are there when it looks
        worker.give("step", render_bundle("x", (), "echo the first; exit 3", first=False), timeout_s=10)
        threading.Timer(0.3, process.send_signal, (signal.SIGCONT,)).start()
        done = worker.do("step", render_bundle("x", (), "echo the second", first=False), timeout_s=10)
        assert (done.status, done.stdout) == (0, b"the second\n")


def test_a_role_is_ready_as_the_agent_would_find_it(place: Path) -> None:
    script = b"false\necho ready with $nothing\n"  # neither is an error to a plain sh -s
    with waiting(place) as (worker, _):
        done = worker.do("step", render_for_worker(Step("ready", script, 10, SHELL), 10), timeout_s=10)
        assert (done.status, done.stdout) == (0, b"ready with\n")


def test_after_a_renewal_nobody_waits_any_more(place: Path) -> None:
    with waiting(place) as (worker, process):
        assert worker.do("renew", rendered(place), timeout_s=10) == WELL
        assert process.wait(timeout=10) == 0
    assert not (place / "pid").exists()


def test_one_that_is_not_needed_ends(place: Path) -> None:
    with waiting(place) as (worker, process):
        worker.do("end", timeout_s=10)
        assert process.wait(timeout=10) == 0


class Said:
    """A port at which a guest says what `answers` makes of the number of what it was given."""

    def __init__(self, answers: Callable[[bytes], bytes]) -> None:
        self._answers = answers
        self._said = io.BytesIO()

    def send(self, data: bytes, *, timeout_s: float) -> None:
        self._said = io.BytesIO(self._answers(data.split()[1]))

    def read_line(self, *, timeout_s: float) -> bytes:
        return self._said.readline().rstrip(b"\n")

    def read(self, length: int, *, timeout_s: float) -> bytes:
        return self._said.read(length)


def test_the_rest_of_an_answer_that_was_broken_off_is_passed_over() -> None:
    port = Said(lambda number: b"f an answer\n0 0\n... with no end\n0f0f 3 4\n5 0\n\n" + number + b" 7 3\nso!")
    assert Worker(port, "pc1").do("step", timeout_s=1) == Completed(7, b"so!", b"")


WRONG = ("", "0", "%s", "%s 0", "%s 0 ", "%s 0 999999999", "%s -1 0", "%s 1000 0", "%s 0 0 0", "%s zero 0", "%s ０ ０", "%s 0 0\r")


@pytest.mark.parametrize("line", WRONG)
def test_a_guest_that_answers_nonsense_is_not_believed(line: str) -> None:
    with pytest.raises(StepError, match="nonsense"):
        Worker(Said(lambda number: (line.replace("%s", number.decode()).encode() + b"\n") * MOST_DROPPED), "pc1").do("step", timeout_s=1)

"""Probes: the program that sends them, what it prints, and what the figures mean."""

import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from labctl.check.probes import Happening, ProbeRecord, Sample, ScenarioRun, look_at_probe
from labctl.check.probing import Line, parse_line, render_prober
from labctl.check.timeline import render_svg, render_timeline, run_json
from labctl.check.wording import both
from labctl.lab.observations import ProbeSeen
from labctl.lab.scenarios import HttpProbe, PingProbe
from tests.unit.conftest import Golden

SEEN: TypeAdapter[ProbeSeen] = TypeAdapter(ProbeSeen)
PICTURES = Path(__file__).parent.parent / "golden" / "timeline"


def record(lost: set[int], count: int = 100, name: str = "ping") -> ProbeRecord:
    """Ten probes a second."""
    samples = tuple(Sample(number / 10, None if number in lost else number / 10 + 0.002) for number in range(count))
    return ProbeRecord(name, "ping h1 -> 10.3.0.10", 0.1, samples, count / 10)


def rounded(of: ProbeRecord) -> list[tuple[float, float]]:
    return [(round(gap.from_s, 3), round(gap.to_s, 3)) for gap in of.gaps]


def run_of(*records: ProbeRecord) -> ScenarioRun:
    cut = Happening(2, 2.01, 2.1, both("pull the cable at r1:eth1", "r1:eth1 のケーブルを抜く"))
    bad = Happening(5, 5.0, 5.2, both("r1: `x`", "r1: `x`"), both("not found", "見つからない"))
    return ScenarioRun("cut", both("a cut", "切断"), 10.0, (cut, bad), records)


def test_a_gap_goes_from_the_first_that_is_lost_to_the_next_that_is_answered() -> None:
    assert record(set()).longest_gap_s == 0
    assert rounded(record({20, 21, 22, 40})) == [(2.0, 2.3), (4.0, 4.1)]
    assert rounded(record({98, 99})) == [(9.8, 10.0)], "to the end, where none comes"
    assert record(set(range(100))).longest_gap_s == 10


def test_what_is_answered_late_and_all_at_once_was_a_gap_too() -> None:
    """A cable was pulled from 3 s to 5 s; what waited for it went out when it was back."""
    samples = tuple(Sample(at / 10, 5.0 if 30 <= at < 50 else at / 10 + 0.002) for at in range(100))
    late = ProbeRecord("ping", "ping a -> b", 0.1, samples, 10.0)
    assert rounded(late) == [(3.0, 4.998)]
    assert late.loss_percent == 0


def test_answers_that_a_busy_machine_delays_for_a_moment_are_no_gap() -> None:
    samples = tuple(Sample(at / 10, 3.4 if 30 <= at < 34 else at / 10 + 0.002) for at in range(100))
    assert ProbeRecord("ping", "ping a -> b", 0.1, samples, 10.0).gaps == ()


def test_an_answer_that_always_takes_long_is_no_gap_and_jitter_is_none() -> None:
    samples = tuple(Sample(at / 10, at / 10 + 0.4 + 0.02 * (at % 4)) for at in range(100))
    assert ProbeRecord("ping", "ping a -> b", 0.1, samples, 9.9).gaps == ()


def test_a_window_counts_what_was_sent_in_it() -> None:
    part = record({20, 21, 22, 40}).within(2.1, 3.1)
    assert (len(part.samples), part.answered, round(part.loss_percent)) == (10, 8, 20)
    assert rounded(part) == [(2.1, 2.3)]


@pytest.mark.parametrize(
    ("given", "held"),
    [
        ({"probe": "longest_gap", "at_most": "300ms"}, True),
        ({"probe": "longest_gap", "at_most": "0.2s"}, False),
        ({"probe": "longest_gap", "at_least": "0.2s", "at_most": "1m"}, True),
        ({"probe": "loss", "at_most": "4.1%"}, True),
        ({"probe": "loss", "at_most": "3.9%"}, False),
        ({"probe": "loss", "during": "0s..2s", "at_most": "0%"}, True),
        ({"probe": "answers", "at_least": "96"}, True),
        ({"probe": "answers", "at_least": "97"}, False),
        ({"probe": "answers", "of": "ping", "during": "2s..3s", "at_most": "7"}, True),
    ],
)
def test_a_figure_is_held_against_its_bounds(given: dict[str, Any], held: bool) -> None:
    found = look_at_probe(SEEN.validate_python(given), run_of(record({20, 21, 22, 40})))
    assert found is not None
    assert found[0] is held


def test_of_nothing_that_was_sent_nothing_is_known() -> None:
    seen = SEEN.validate_python({"probe": "loss", "at_most": "0%"})
    assert look_at_probe(seen, run_of()) is None
    assert look_at_probe(SEEN.validate_python({"probe": "loss", "during": "11s..12s", "at_most": "0%"}), run_of(record(set()))) is None


@pytest.mark.parametrize("text", ["", "s", "s 1", "s x 1.0", "s 1 never", "b 1 1.0", "Traceback (most recent call last):"])
def test_a_line_that_the_program_never_prints_is_none(text: str) -> None:
    assert parse_line(text) is None


def test_lines_of_the_program_are_read() -> None:
    assert parse_line("s 12 3.500000") == Line(False, 12, 3.5)
    assert parse_line("a 12 3.510000") == Line(True, 12, 3.51)


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/there" else 404)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize(("path", "answered"), [("there", True), ("gone", False)])
def test_the_program_asks_for_a_page_again_and_again_and_tells_which_was_answered(port: int, path: str, answered: bool) -> None:
    command = render_prober(HttpProbe(http=f"h1 -> http://127.0.0.1:{port}/{path}", every="50ms"))
    began = time.clock_gettime(time.CLOCK_BOOTTIME)
    done = subprocess.run(("timeout", "3", "sh", "-c", f"exec {command}"), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (124, "")
    lines = [parse_line(line) for line in done.stdout.splitlines()]
    assert all(line is not None and began <= line.at_s <= began + 10 for line in lines)
    sent = {line.number for line in lines if line and not line.answer}
    answers = {line.number for line in lines if line and line.answer}
    assert sent == set(range(len(sent)))
    assert len(sent) > 10
    assert len(answers) > 5 if answered else not answers


@pytest.mark.parametrize(("target", "answered"), [("127.0.0.1", True), ("::1", True), ("127.0.0.2", True), ("192.0.2.1", False)])
def test_the_program_pings_and_what_finds_no_way_is_sent_and_not_answered(target: str, answered: bool) -> None:
    command = render_prober(PingProbe(ping=f"h1 -> {target}", every="20ms"))
    script = f"ip link set lo up; exec timeout 2 {command}"
    done = subprocess.run(("unshare", "--map-root-user", "--net", "sh", "-c", script), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (124, "")
    lines = [line for text in done.stdout.splitlines() if (line := parse_line(text))]
    sent, answers = ({line.number for line in lines if line.answer is kind} for kind in (False, True))
    assert len(sent) > 10
    assert len(answers) >= len(sent) - 5 if answered else not answers


def test_a_run_is_drawn_for_the_terminal_and_as_svg(golden: Golden) -> None:
    run = run_of(record({20, 21, 22, 23, 24, 40}), record(set(range(50, 100)), name="other"))
    golden(PICTURES / "run.txt", render_timeline(run))
    golden(PICTURES / "run.ja.txt", render_timeline(run, "ja"))
    golden(PICTURES / "run.svg", render_svg(run))
    assert run_json(run)["probes"][0]["gaps"] == [{"from_s": 2.0, "to_s": 2.5}, {"from_s": 4.0, "to_s": 4.1}]
    assert run_json(run)["events"][1]["error"] == {"en": "not found", "ja": "見つからない"}

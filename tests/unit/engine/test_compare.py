"""The rounds of `compare`: real commands by sh, in nodes that are this machine; the small `vehicle` is the test's own lab's."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.check.comparing import Figures, figures_json
from labctl.engine.compare import CompareOptions, Run, _chosen, _earlier
from labctl.engine.events import Event, silent
from labctl.errors import TimedOut, UsageError
from labctl.guest.agent import Completed
from labctl.lab.comparison import Comparison
from labctl.lab.load import load_lab
from labctl.lab.values import Text
from tests.unit.engine.fake_lab import FakeLab

LAB = """
name: two
title: two
nodes: {one: host}
checks: [{id: x, says: x, see: {node: one, run: "true", matches: ""}, sabotage: {one: "false"}}]
"""
VEHICLE = """#!/bin/sh
echo "$1 $2" >>"$LOG"
case "$1 $2" in
  "late stop") sleep 5 ;;
  *run) sh ;;
  *start) echo 1.5 ;;
esac
"""


class Shell(FakeLab):
    """Nodes whose commands this machine's sh carries out."""

    def __init__(self, place: Path) -> None:
        (place / "lab.yaml").write_text(LAB)
        super().__init__(load_lab(place / "lab.yaml"), place)
        (place / "vehicle").write_text(VEHICLE)
        (place / "vehicle").chmod(0o755)
        self.time_scale = 1.0
        self.environment = {"PATH": f"{place}:/usr/bin:/bin", "LOG": str(place / "log")}

    def run_on(self, node: str, script: str, *, timeout_s: float) -> Completed:
        try:
            done = subprocess.run(("sh", "-c", script), capture_output=True, timeout=min(timeout_s, 1.0), env=self.environment, check=False)
        except subprocess.TimeoutExpired:
            raise TimedOut(f"{node}: the command did not end", why=script) from None
        return Completed(done.returncode, done.stdout, done.stderr)


def comparison(*kinds: str, **more: object) -> Comparison:
    places = [{"id": kind, "title": kind, "says": kind, "node": "one", "yardstick": kind == "native"} for kind in kinds]
    measures = [
        {"id": "start", "title": "start", "better": "less", "tool": "x", "node": "vehicle $KIND start", "quick": True},
        {"id": "size", "title": "size", "better": "less", "tool": "x", "inside": "echo size 7", "quick": True},
        {"id": "bad", "title": "bad", "better": "less", "tool": "x", "inside": "echo done"},
        {"id": "red", "title": "red", "better": "less", "tool": "x", "node": "echo no such disk >&2; exit 3"},
        {"id": "slow", "title": "slow", "better": "less", "tool": "x", "node": "sleep 5"},
        {"id": "rare", "title": "rare", "better": "less", "tool": "x", "node": "echo 1", "once": True},
    ]
    questions = [{"id": "who", "title": "who", "inside": "echo it is me"}]
    text = {"rounds": 2, "start": "start", "kinds": places, "measures": measures, "questions": questions, "source": "-"}
    return Comparison.model_validate({**text, **more})


def run(place: Path, asked: Comparison, **options: object) -> tuple[Figures, list[str], list[str]]:
    """Figures, warnings, and what `vehicle` was told."""
    said: list[Event] = []
    target = Shell(place)
    chosen = CompareOptions(**options)  # type: ignore[arg-type]
    measures = tuple(one for one in asked.measures if one.quick or not chosen.quick)
    figures = Run(asked, asked.kinds, measures, chosen, target, said.append).measure()
    log = (place / "log").read_text().split("\n") if (place / "log").exists() else []
    return figures, [event.what for event in said if event.kind == "warning"], log


def test_each_round_has_every_kind_and_ends_it(tmp_path: Path) -> None:
    figures, _, log = run(tmp_path, comparison("native", "hosted"))
    assert [line for line in log if "run" not in line] == [*("native start", "native stop", "hosted start", "hosted stop") * 2, ""]
    assert figures.samples["start", "hosted"] == [1.5, 1.5]
    assert figures.samples["size", "hosted"] == [7, 7]
    assert figures.samples["rare", "hosted"] == [1]
    assert figures.answers == {("who", "native"): "it is me", ("who", "hosted"): "it is me"}


def test_what_is_measured_once_waits_until_every_kind_had_its_first_round(tmp_path: Path) -> None:
    asked = comparison("native", "hosted")
    *others, rare = asked.measures
    logged = asked.model_copy(update={"measures": (*others, rare.model_copy(update={"node": "vehicle $KIND rare; echo 1"}))})
    figures, _, log = run(tmp_path, logged)
    assert log.index("native rare") > log.index("hosted stop")
    assert log.count("native rare") == log.count("hosted rare") == 1
    alone, _, _ = run(tmp_path, comparison("native", rounds=1))
    assert figures.samples["rare", "native"] == alone.samples["rare", "native"] == [1], "where there is one round, in that"


def test_what_gave_no_figure_says_why(tmp_path: Path) -> None:
    figures, warnings, _ = run(tmp_path, comparison("native", rounds=1))
    assert {measure: figures.why_missing(measure, "native") for measure in ("bad", "red", "slow")} == {
        "bad": "done",
        "red": "no such disk",
        "slow": "one: the command did not end",
    }
    assert len(warnings) == 3


def test_a_kind_that_does_not_end_in_time_costs_no_figures(tmp_path: Path) -> None:
    figures, warnings, log = run(tmp_path, comparison("late", "native", rounds=1), quick=True)
    assert "late: one: the command did not end" in warnings
    assert figures.samples["size", "late"] == figures.samples["size", "native"] == [7]
    assert "native stop" in log


def test_a_kind_that_this_host_cannot_have_says_so(tmp_path: Path) -> None:
    asked = comparison("native", "hosted")
    hosted = asked.kinds[1].model_copy(update={"needs": "echo no /dev/kvm; exit 1"})
    figures, _, log = run(tmp_path, asked.model_copy(update={"kinds": (asked.kinds[0], hosted)}), quick=True)
    assert figures.why_missing("start", "hosted") == "no /dev/kvm"
    assert "hosted start" not in log


def test_a_kind_that_this_host_cannot_have_may_say_so_in_its_own_words(tmp_path: Path) -> None:
    asked = comparison("native", "hosted")
    lacks = Text(en="the processor does not virtualise", ja="この CPU は仮想化を支援しない")
    hosted = asked.kinds[1].model_copy(update={"needs": "test -c /dev/null/kvm", "lacks": lacks})
    figures, _, _ = run(tmp_path, asked.model_copy(update={"kinds": (asked.kinds[0], hosted)}), quick=True)
    assert figures.why_missing("start", "hosted") == lacks.en
    assert figures.why_missing_in("ja", "start", hosted) == lacks.ja


def test_no_measure_begins_after_the_time(tmp_path: Path) -> None:
    figures, _, log = run(tmp_path, comparison("native"), budget_s=-1.0)
    assert figures.samples == {}
    assert figures.why_missing("size", "native") == "not run: the time was up"
    assert log == []


def test_what_says_nothing_of_a_kind_is_not_called_out_of_time(tmp_path: Path) -> None:
    asked = comparison("native")
    measures = tuple(one.model_copy(update={"not_for": ("native",)}) if one.id == "rare" else one for one in asked.measures)
    figures, _, _ = run(tmp_path, asked.model_copy(update={"measures": measures}), budget_s=-1.0)
    assert figures.why_missing("rare", "native") == "says nothing here"


def test_ctrl_c_keeps_what_was_measured(tmp_path: Path) -> None:
    class Interrupted(Shell):
        def run_on(self, node: str, script: str, *, timeout_s: float) -> Completed:
            if "sleep 5" in script:
                raise KeyboardInterrupt
            return super().run_on(node, script, timeout_s=timeout_s)

    asked = comparison("native")
    figures = Run(asked, asked.kinds, asked.measures, CompareOptions(), Interrupted(tmp_path), silent).measure()
    assert figures.samples["size", "native"] == [7]
    assert (tmp_path / "log").read_text().endswith("native stop\n"), "and what was started is ended"


def again(place: Path, asked: Comparison, earlier: Figures, *kinds: str) -> tuple[Figures, list[str]]:
    """A second run that goes on from the JSON of `earlier`, on some kinds; its figures, and what `vehicle` was told."""
    (place / "run.json").write_text(json.dumps(figures_json(earlier)))
    (place / "log").unlink(missing_ok=True)
    read = _earlier(place / "run.json", asked)
    chosen = tuple(kind for kind in asked.kinds if kind.id in kinds)
    figures = Run(asked, chosen, asked.measures, CompareOptions(), Shell(place), silent, read).measure()
    return figures, (place / "log").read_text().split("\n") if (place / "log").exists() else []


def good(*kinds: str, **more: object) -> Comparison:
    """A comparison in which every measure gives a figure."""
    whole = comparison(*kinds, **more)
    return whole.model_copy(update={"measures": tuple(one for one in whole.measures if one.id in ("start", "size", "rare"))})


def test_a_run_goes_on_from_an_earlier_one(tmp_path: Path) -> None:
    asked = good("native", "hosted", rounds=3)
    first = Run(asked, asked.kinds[:1], asked.measures, CompareOptions(), Shell(tmp_path), silent).measure()
    first.seconds = 50.0
    figures, log = again(tmp_path, asked, first, "native", "hosted")
    assert {line.split()[0] for line in log if line} == {"hosted"}, "native was whole"
    assert [len(figures.samples[cell]) for cell in (("start", "native"), ("size", "hosted"), ("rare", "hosted"))] == [3, 3, 1]
    assert figures.answers["who", "native"] == "it is me"
    assert figures.kinds == asked.kinds
    assert 50 < figures.seconds < 60


def test_what_a_run_was_broken_off_in_is_measured_by_the_next(tmp_path: Path) -> None:
    asked = good("native", rounds=3)
    first = Run(asked, asked.kinds, asked.measures, CompareOptions(), Shell(tmp_path), silent).measure()
    first.samples["size", "native"] = [7, 7]
    first.samples["start", "native"].append(2.5)
    del first.samples["rare", "native"]
    first.missing["rare", "native"] = "not run: the time was up"
    figures, log = again(tmp_path, asked, first, "native")
    assert log.count("native start") == 1
    assert [figures.samples[one, "native"] for one in ("start", "size", "rare")] == [[1.5, 1.5, 1.5, 2.5, 1.5], [7, 7, 7], [1]]
    assert figures.missing == {}


def test_figures_of_another_machine_are_not_put_together(tmp_path: Path) -> None:
    asked = good("native")
    first = Run(asked, asked.kinds, asked.measures, CompareOptions(), Shell(tmp_path), silent).measure()
    first.surroundings = replace(first.surroundings, machine="another, 64 cores")
    with pytest.raises(UsageError) as refused:
        again(tmp_path, asked, first, "native")
    assert "machine was another, 64 cores, and is " in refused.value.why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Invalid JSON"),
        ("[]", "Input should be an object"),
        ('{"machine": "x"}', "accelerator: Field required"),
        (b"\xff", "it is no text"),
        (None, "No such file"),
    ],
)
def test_a_file_that_is_no_earlier_run_is_refused_before_anything_starts(tmp_path: Path, text: str | bytes | None, why: str) -> None:
    if text is not None:
        (tmp_path / "run.json").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(UsageError) as refused:
        _earlier(tmp_path / "run.json", comparison("native"))
    assert why in refused.value.why
    assert refused.value.hint == "labctl compare --json > run.json writes one"


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(UsageError, match="no kind `vm`"):
        _chosen(("vm",), comparison("native").kinds, "kind")

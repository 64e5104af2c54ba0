"""The self-test finds out checks that prove nothing, and only those: on the lab in memory, with real captures."""

from pathlib import Path
from typing import Any

import pytest

from labctl.check.junit import render_junit, selftest_suite
from labctl.check.proof import SelftestReport
from labctl.check.report import selftest_json
from labctl.engine.selftest import selftest
from labctl.lab.model import Check
from tests.unit.engine.fake_lab import FakeLab, address, check, switch_lab

PING = {"pc1": f"ping -c 2 {address('pc2')}"}
HEARD = {"witness": True, "wire": "pc2:eth1", "filter": "icmp", "frames": 4}
QUIET = {"wire": "pc3:eth1", "filter": "icmp", "frames": 0}
UNHEARD = check("unheard", do=PING, see=[HEARD, QUIET], sabotage={"set": {"sw1": {"learning": False}}})
FILE = check("file", see={"node": "pc3", "run": "have x", "fails": True}, sabotage={"pc3": "touch x"})
ALIVE = {"witness": True, "node": "pc3", "run": "true"}
ANSWERED = {"output": "pc1", "contains": "2 received"}


def lacks_file(name: str) -> dict[str, Any]:
    return {"node": "pc3", "run": f"have {name}", "fails": True}


def plain(id: str, **keys: Any) -> Check:
    """A check that has nothing to do with the switch: pc3 holds a file only if somebody put it there."""
    given = {"see": [ALIVE, lacks_file(id)], "sabotage": {"pc3": f"touch {id}"}, **keys}
    return check(id, **given)


def prove(tmp_path: Path, *checks: Check, ids: tuple[str, ...] = (), **options: Any) -> tuple[SelftestReport, FakeLab]:
    target = FakeLab(switch_lab(*checks), tmp_path, **options)
    return selftest(target, ids), target


def problems(report: SelftestReport) -> list[str]:
    return [problem.en for problem in report.problems]


@pytest.fixture(scope="module")
def proven(tmp_path_factory: pytest.TempPathFactory) -> tuple[SelftestReport, FakeLab]:
    """A lab of two good checks: its self-test runs tshark many times, so it runs once."""
    return prove(tmp_path_factory.mktemp("captures"), UNHEARD, plain("x"))


def test_proven_checks_score_all(proven: tuple[SelftestReport, FakeLab]) -> None:
    report, target = proven
    assert problems(report) == []
    assert report.proven
    assert (report.score, report.killed, report.provable, report.effective, report.sabotages) == (1.0, 2, 2, 2, 2)
    assert target.log == ["set sw1 {'learning': False}", "set sw1 {'learning': True}", "reset pc3", "reset all"]
    assert report.proofs[0].trials[0].put_back_by.en == "by its inverse or undo"
    assert report.proofs[1].trials[0].put_back_by.en == "by a reset of pc3"


def test_a_check_that_cannot_fail_is_found(tmp_path: Path) -> None:
    report, _ = prove(tmp_path, plain("x"), check("always", see={"node": "pc1", "run": "true"}, sabotage={"pc1": "touch y"}))
    assert problems(report) == [
        "always: no sabotage makes this fail: pc1: `true` succeeds",
        "always: sabotage 1: no observation fails under it",
    ]
    assert not report.proven
    assert report.score == 0.5
    assert report.exit_code == 1


def test_an_observation_that_no_sabotage_kills_is_found(tmp_path: Path) -> None:
    extra = {"node": "pc1", "run": "true", "says": "pc1 works"}
    report, _ = prove(tmp_path, plain("x", see=[ALIVE, {"node": "pc3", "run": "have x", "fails": True}, extra]))
    assert problems(report) == ["x: no sabotage makes this fail: pc1 works"]
    assert report.score == 2 / 3


def test_an_absence_without_a_witness_is_found(tmp_path: Path) -> None:
    report, _ = prove(tmp_path, FILE, plain("y"))
    assert problems(report) == ["file: an absence without a witness is true of a dead lab too"]
    assert report.score == 1.0
    assert not report.proven


def test_a_witness_that_is_itself_an_absence_is_none(tmp_path: Path) -> None:
    nothing = {"witness": True, "wire": "pc2:eth1", "filter": "arp", "frames": 0}
    report, _ = prove(tmp_path, check("unheard", do=PING, see=[nothing, QUIET], sabotage={"set": {"sw1": {"learning": False}}}), plain("y"))
    assert problems(report) == ["unheard: an absence without a witness is true of a dead lab too"]


def test_a_capture_that_does_not_start_is_found_and_its_sabotages_are_not_tried(tmp_path: Path) -> None:
    report, target = prove(tmp_path, UNHEARD, plain("x"), captures_start=False)
    assert report.proofs[0].trials == ()
    assert "the capture did not work: the capture on pc2:eth1 did not start" in problems(report)[0]
    assert target.log == ["reset pc3", "reset all"]
    assert not report.proven
    assert '<error message="it does not pass' in render_junit([selftest_suite(report)])


def test_an_error_proves_nothing(tmp_path: Path) -> None:
    ways = [{"pc3": "touch x"}, {"power": {"pc3": "off"}}]
    elsewhere = check("elsewhere", see={"node": "pc2", "run": "table", "rows": 2}, before=PING, sabotage={"sw1": "switch learning off"})
    report, _ = prove(tmp_path, plain("x", sabotage=ways, see=[{**ALIVE, "node": "pc1"}, lacks_file("x")]), elsewhere)
    assert [problem for problem in problems(report) if problem.startswith("x:")] == [
        "x: sabotage 2: no observation fails under it",
        "x: sabotage 2: an error proves nothing (pc3: the agent does not answer)",
    ]
    assert report.proofs[0].trials[1].put_back_by.en == "by a reset of pc3"


def test_a_witness_must_hold_under_a_sabotage(tmp_path: Path) -> None:
    """A dead switch fails the observation, but nothing passes any more: that says nothing about it."""
    table = {"node": "sw1", "run": "table", "rows": 2}
    before, witness = {"sw1": "switch flush"}, {**ANSWERED, "witness": True}
    heard = check("heard", before=before, do=PING, see=[witness, table], sabotage={"sw1": "switch broken on"})
    report, _ = prove(tmp_path, heard, plain("y"))
    assert problems(report) == [
        "heard: no sabotage makes this fail: sw1: `table` succeeds; rows: exactly 2",
        "heard: sabotage 1: the witness no longer holds (pc1: prints “2 received”)",
    ]


def test_observations_are_judged_even_when_do_fails(tmp_path: Path) -> None:
    report, target = prove(tmp_path, check("heard", do=PING, see=ANSWERED, sabotage={"sw1": "switch broken on"}), plain("y"))
    assert problems(report) == []
    assert target.log == ["reset sw1", "reset pc3", "reset all"]


def test_a_stimulus_that_was_not_carried_out_proves_nothing(tmp_path: Path) -> None:
    hears = {"wire": "pc2:eth1", "filter": "icmp", "frames": 4}
    report, _ = prove(tmp_path, check("heard", do=PING, see=hears, sabotage={"power": {"pc1": "off"}}), plain("y"))
    what = "do: pc1: `ping -c 2 192.168.1.12`: pc1: the agent does not answer"
    assert report.proofs[0].trials[0].result is not None
    assert report.proofs[0].trials[0].result.observations[0].state == "failed"
    assert problems(report)[1] == f"heard: sabotage 1: the stimulus was not carried out ({what})"


def answered_twice(sabotage: Any) -> list[Check]:
    return [check(f"heard-{number}", do=PING, see=ANSWERED, sabotage=sabotage) for number in (1, 2)]


def test_a_sabotage_that_turns_everything_red_needs_a_reason(tmp_path: Path) -> None:
    report, target = prove(tmp_path, *answered_twice({"cut": "pc1:eth1"}))
    assert [problem.partition(": find")[0] for problem in problems(report)] == [
        "heard-1: sabotage 1: every check of the lab is red under it",
        "heard-2: sabotage 1: every check of the lab is red under it",
    ]
    assert target.log == ["cut pc1:eth1", "restore pc1:eth1"] * 2 + ["reset all"]


def test_with_a_reason_it_may(tmp_path: Path) -> None:
    reason = "the lesson is that nothing works without the cable"
    report, _ = prove(tmp_path, *answered_twice({"actions": {"cut": "pc1:eth1"}, "kills_all": reason}))
    assert problems(report) == []


def test_the_only_check_of_a_lab_may_go_red(tmp_path: Path) -> None:
    report, _ = prove(tmp_path, plain("x"))
    assert report.proven


def test_a_lab_that_parts_do_not_heal_is_found_and_reset(tmp_path: Path) -> None:
    target = FakeLab(switch_lab(plain("x"), plain("y")), tmp_path)
    target.heals_by_parts = False
    report = selftest(target)
    assert [problem.partition(" (")[0] for problem in problems(report)] == [
        "x: sabotage 1: put back, the check does not pass again",
        "y: sabotage 1: put back, the check does not pass again",
    ]
    assert target.log == ["reset pc3", "reset all", "reset pc3", "reset all", "reset all"]


def test_an_undo_that_harms_another_check_is_found_at_the_end(tmp_path: Path) -> None:
    harmful = {"actions": {"cut": "pc1:eth1"}, "undo": [{"restore": "pc1:eth1"}, {"pc3": "touch first"}]}
    report, _ = prove(tmp_path, plain("first"), check("second", do=PING, see=ANSWERED, sabotage=harmful))
    assert [problem.partition(" (")[0] for problem in problems(report)] == ["first: does not pass once what was touched is put back"]
    assert report.score == 1.0
    assert not report.proven


def test_a_sabotage_that_cannot_be_applied_is_found(tmp_path: Path) -> None:
    report, target = prove(tmp_path, plain("x", sabotage=[{"pc3": "touch x"}, {"pc3": "tuoch x"}]), plain("y"))
    why = "pc3: `tuoch x` could not be run: sh: 1: tuoch: not found"
    assert problems(report) == [f"x: sabotage 2: the sabotage could not be applied: {why}"]
    assert "reset all" in target.log[:-1]


# --- tasks ---


def task(**keys: Any) -> Check:
    """pc1 lacks the file x."""
    given = {"see": {"node": "pc1", "run": "have x"}, "solution": {"pc1": "touch x"}, "sabotage": {"pc1": "remove x"}, **keys}
    return check("task", task=True, **given)


def test_a_task_is_red_then_green_then_killed_then_open_again(tmp_path: Path) -> None:
    report, target = prove(tmp_path, task(), plain("y"))
    assert problems(report) == []
    assert target.log == ["reset pc3", "reset pc1", "reset pc1", "reset all"]  # y's sabotage; the task's, solved again; its solution
    assert report.proofs[0].opened is not None
    assert report.proofs[0].opened.in_words == "open"
    assert [one.in_words for one in report.partly.checks] == ["open", "passed"]


def test_the_inverse_of_a_tasks_sabotage_is_the_solution(tmp_path: Path) -> None:
    ways = {"solution": {"set": {"sw1": {"learning": False}}}, "sabotage": {"set": {"sw1": {"learning": True}}}}
    flushed = {"sw1": "switch flush"}
    report, target = prove(tmp_path, task(before=flushed, do=PING, see={"node": "sw1", "run": "table", "rows": 0}, **ways), plain("y"))
    assert [f"set sw1 {{'learning': {value}}}" for value in (False, True, False, True)] == target.log[1:5]
    assert problems(report) == ["task: an absence without a witness is true of a dead lab too"]


def test_a_task_that_is_solved_already_is_found(tmp_path: Path) -> None:
    report, _ = prove(tmp_path, task(see={"node": "pc1", "run": "true"}), plain("y"))
    assert "task: the task is not red before its solution" in problems(report)


def test_a_solution_that_does_not_solve_is_found(tmp_path: Path) -> None:
    report, _ = prove(tmp_path, task(solution={"pc1": "touch z"}), plain("y"))
    seen = "pc1: `have x` succeeds: it ended with status 1; it printed nothing"
    assert problems(report) == [f"task: it does not pass with its solution ({seen})"]
    assert report.proofs[0].trials == ()


def test_a_solution_that_fails_is_found(tmp_path: Path) -> None:
    report, target = prove(tmp_path, task(solution={"pc1": "false"}), plain("y"))
    assert problems(report)[0].startswith("task: the solution of task could not be carried out: pc1: `false` ended with status 1")
    assert "reset all" in target.log[:-1]


# --- the report, and Ctrl-C ---


def test_only_the_checks_that_are_named_are_proven(tmp_path: Path) -> None:
    report, _ = prove(tmp_path, plain("x"), plain("y"), ids=("y",))
    assert [proof.check.id for proof in report.proofs] == ["y"]


def test_the_matrix_as_data(proven: tuple[SelftestReport, FakeLab]) -> None:
    report, _ = proven
    data = selftest_json(report)
    assert data["score"] == 1.0
    assert data["checks"][0]["observations"][1]["killed_by"] == [1]
    trial = data["checks"][0]["sabotages"][0]
    assert (trial["states"], trial["kills"], trial["passes_again"]) == (["passed", "failed"], [2], True)
    assert trial["says"] == {"en": "set sw1 learning=False", "ja": "設定変更 sw1 learning=False"}
    assert [one["state"] for one in data["reset"]["checks"]] == ["passed", "passed"]
    assert 'name="selftest switch" tests="4"' in render_junit([selftest_suite(report)])


def test_an_interrupted_self_test_puts_the_lab_back_first(tmp_path: Path) -> None:
    class Interrupted(FakeLab):
        def capture(self, ends: Any) -> Any:
            if not self.world.learning:
                raise KeyboardInterrupt
            return super().capture(ends)

    target = Interrupted(switch_lab(UNHEARD), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        selftest(target)
    assert target.log == ["set sw1 {'learning': False}", "set sw1 {'learning': True}"]


def test_where_a_reset_is_quick_it_is_how_the_lab_is_put_back_and_no_undo_is_trusted(tmp_path: Path) -> None:
    target = FakeLab(switch_lab(UNHEARD, plain("x")), tmp_path)
    target.resets_quickly = True
    report = selftest(target, ())
    assert problems(report) == []
    assert report.proven
    assert target.log == ["set sw1 {'learning': False}", "reset sw1 pc1", "reset pc3 pc1", "reset all"]
    assert report.proofs[0].trials[0].put_back_by.en == "from saved machines"

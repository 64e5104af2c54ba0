"""Breaking the lab in memory, putting it back, solving tasks, and the choice of `break`."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from labctl.check.undoing import plan_undoing
from labctl.engine.sabotage import Breakage, apply, break_lab, put_back, solve
from labctl.errors import StepError, UsageError
from tests.unit.engine.fake_lab import FakeLab, check, switch_lab

SEE = {"node": "pc1", "run": "true"}
CHECKS = (
    check("learns", see=SEE, sabotage=[{"set": {"sw1": {"learning": False}}}, {"cut": "pc1:eth1"}]),
    check("wired", see=SEE, sabotage={"move": "pc1:eth1 -> sw1:port4"}),
    check("files", see=SEE, sabotage=[{"pc1": "touch x"}, {"pc1": {"start": "flood"}}]),
    check("task", see={"node": "pc1", "run": "have y"}, sabotage={"sw1": "touch z"}, task=True, solution={"pc1": "touch y"}),
)


@pytest.fixture
def target(tmp_path: Path) -> FakeLab:
    return FakeLab(switch_lab(*CHECKS), tmp_path)


@pytest.mark.parametrize(
    ("check_number", "sabotage_number", "log"),
    [
        (0, 0, ["set sw1 {'learning': False}", "set sw1 {'learning': True}"]),
        (0, 1, ["cut pc1:eth1", "restore pc1:eth1"]),
        (1, 0, ["move pc1:eth1 -> sw1:port4", "move pc1:eth1 -> sw1:port1"]),
        (2, 0, ["reset pc1"]),
        (2, 1, ["start on pc1", "stop on pc1", "reset pc1"]),
    ],
)
def test_a_sabotage_is_put_back_by_its_parts(target: FakeLab, check_number: int, sabotage_number: int, log: list[str]) -> None:
    before = target.lab
    sabotage = CHECKS[check_number].sabotage[sabotage_number]
    put_back(target, plan_undoing(before, sabotage), apply(target, sabotage))
    assert target.log == log
    assert target.lab == before
    assert target.background == {}


def test_a_sabotage_that_cannot_be_applied_says_why(target: FakeLab) -> None:
    wrong = check("wrong", see=SEE, sabotage={"sw1": "brigde link"})
    with pytest.raises(StepError) as refused:
        apply(target, wrong.sabotage[0])
    assert str(refused.value) == "the sabotage could not be applied: sw1: `brigde link` could not be run: sh: 1: brigde: not found"


def test_solve_does_what_a_student_would_do(target: FakeLab) -> None:
    solve(target, CHECKS[3])
    assert target.world.files == {"pc1": {"y"}}
    with pytest.raises(UsageError) as refused:
        solve(target, CHECKS[0])
    assert refused.value.hint == "tasks: task"


def test_the_same_seed_breaks_the_same_thing_and_the_record_is_json(tmp_path: Path) -> None:
    done = [break_lab(FakeLab(switch_lab(*CHECKS), tmp_path), seed=7) for _ in range(2)]
    assert done[0] == done[1]
    read = json.loads(json.dumps(asdict(done[0])))
    assert Breakage(**{**read, "nodes": tuple(read["nodes"])}) == done[0]


def test_any_sabotage_may_come_but_never_a_tasks(tmp_path: Path) -> None:
    found = {(one.check, one.number) for one in (break_lab(FakeLab(switch_lab(*CHECKS), tmp_path), seed=seed) for seed in range(60))}
    assert found == {("learns", 1), ("learns", 2), ("wired", 1), ("files", 1), ("files", 2)}


def test_one_check_may_be_named(target: FakeLab) -> None:
    done = break_lab(target, "wired")
    assert done.check == "wired"
    assert done.says.en == "move the cable pc1:eth1 -> sw1:port4"
    assert done.says.ja == "ケーブルを移す pc1:eth1 -> sw1:port4"
    with pytest.raises(UsageError, match="no check `wierd`"):
        break_lab(target, "wierd")


def test_a_lab_without_checks_cannot_be_broken(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no check whose sabotage"):
        break_lab(FakeLab(switch_lab(), tmp_path))

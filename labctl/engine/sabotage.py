"""Sabotages, their undoing, and solutions: breaks a running lab on purpose and puts it right again.

Owns doing it, and the choice of `break`. How a sabotage is undone is planned by `check/undoing.py`; which sabotage proves what is
`engine/selftest.py`'s.
"""

import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from labctl.check.undoing import Undoing, touched
from labctl.check.wording import actions_words, joined
from labctl.engine.stimulus import Stage
from labctl.engine.under_test import LabUnderTest
from labctl.engine.verify import applicable, choose_checks
from labctl.errors import StepError, UsageError
from labctl.lab.model import Action, Check, Sabotage, Text
from labctl.lab.topology import Lab


@dataclass(frozen=True)
class Breakage:
    """What `break` did, to be kept until `--reveal`: plain values only. `number` counts the check's sabotages from 1."""

    check: str
    number: int
    en: str
    ja: str
    nodes: tuple[str, ...]
    seed: int

    @property
    def says(self) -> Text:
        return Text(en=self.en, ja=self.ja)


def apply(target: LabUnderTest, sabotage: Sabotage) -> Stage:
    """Carry out the sabotage; the stage holds what it started in the background. `StepError` if it could not be done."""
    return _carry_out(target, sabotage.actions, "the sabotage could not be applied")


def put_back(target: LabUnderTest, undoing: Undoing, stage: Stage | None = None) -> None:
    """End what the sabotage started, then undo it. `StepError` if an action of it fails."""
    if stage is not None:
        stage.stop_background()
    if undoing.saved:
        return target.reset(undoing.resets)
    _carry_out(target, undoing.actions, "the sabotage could not be undone")
    if undoing.resets:
        target.reset(undoing.resets)


def solve(target: LabUnderTest, check: Check) -> None:
    """Do what a student would do. `UsageError` if the check is no task, `StepError` if the solution fails."""
    if not check.task:
        raise UsageError(f"{check.id} is no task", hint=_tasks_hint(target.lab))
    _carry_out(target, check.solution, f"the solution of {check.id} could not be carried out")


def break_lab(target: LabUnderTest, check_id: str | None = None, seed: int | None = None) -> Breakage:
    """Pick a sabotage (of one check, or of any that is no task) by `seed` and apply it, naming nothing."""
    lab = target.lab
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    checks = choose_checks(lab, [check_id]) if check_id else tuple(check for check in applicable(lab) if not check.task)
    choices = [(check, number) for check in checks for number in range(1, len(check.sabotage) + 1)]
    if not choices:
        raise UsageError(f"{lab.name} has no check whose sabotage could be used", hint=f"labctl show {lab.name}")
    check, number = random.Random(seed).choice(choices)
    sabotage = check.sabotage[number - 1]
    apply(target, sabotage)
    says = says_of_sabotage(sabotage)
    return Breakage(check.id, number, says.en, says.in_language("ja"), touched(sabotage.actions), seed)


def says_of_sabotage(sabotage: Sabotage) -> Text:
    """The author's sentence, or else what is done."""
    return sabotage.says or actions_words(sabotage.actions)


def _carry_out(target: LabUnderTest, actions: Sequence[Action], otherwise: str) -> Stage:
    stage = Stage(target)
    stage.carry_out(actions)
    if stage.troubles:
        raise StepError(otherwise, why=joined(stage.troubles).en, hint="labctl reset puts the lab right")
    return stage


def _tasks_hint(lab: Lab) -> str:
    tasks = [check.id for check in applicable(lab) if check.task]
    return f"tasks: {', '.join(tasks)}" if tasks else f"{lab.name} has no tasks"

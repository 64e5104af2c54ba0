"""`verify`: runs the checks of a lab and tells what came out; also waits until a lab is ready.

Owns the order within a check: before, captures open, do, captures closed, every observation judged (also when `do` failed), after.
A stimulus that fails makes its check an error, never a failure. Sabotages are `engine/selftest.py`'s.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial

from labctl.check.verdict import CheckResult, ObservationResult, VerifyReport
from labctl.check.wording import joined, says_of
from labctl.engine.events import Event, Reporter, silent, step
from labctl.engine.evidence import AGAIN_S, Played, Scene, look, observe_all, play
from labctl.engine.scenario import play_scenario
from labctl.engine.stimulus import Stage, open_stage
from labctl.engine.under_test import LabUnderTest
from labctl.errors import TimedOut, UsageError
from labctl.lab.model import Check
from labctl.lab.topology import Lab
from labctl.lab.words import meant

READY_S = 60.0


def verify(target: LabUnderTest, checks: Sequence[str] = (), report: Reporter = silent) -> VerifyReport:
    """Run the checks with these ids (none named: all of the lab's variant), in the order of the file."""
    began = time.monotonic()
    results = tuple(run_check(target, check, report) for check in choose_checks(target.lab, checks))
    return report_of(target, results, time.monotonic() - began)


def report_of(target: LabUnderTest, results: tuple[CheckResult, ...], seconds: float) -> VerifyReport:
    lab = target.lab
    return VerifyReport(lab.name, lab.title, lab.variant, target.accelerator, results, seconds)


def applicable(lab: Lab) -> tuple[Check, ...]:
    """The checks of the lab's variant."""
    return tuple(check for check in lab.checks if check.variant in (None, lab.variant))


def choose_checks(lab: Lab, ids: Sequence[str]) -> tuple[Check, ...]:
    """The checks named, in the order of the file; all if none is. `UsageError` for an id that is none of them."""
    here = applicable(lab)
    for wanted in ids:
        if wanted not in {check.id for check in here}:
            elsewhere = next((check for check in lab.checks if check.id == wanted), None)
            why = f"it belongs to variant {elsewhere.variant}" if elsewhere else ""
            raise UsageError(f"no check `{wanted}` in {lab.name}", why=why, hint=meant(wanted, [check.id for check in here]))
    return tuple(check for check in here if not ids or check.id in ids)


def run_check(target: LabUnderTest, check: Check, report: Reporter = silent) -> CheckResult:
    """One check, once."""
    began = time.monotonic()
    with step(report, f"check {check.id}"):
        with open_stage(target, check.after) as stage:
            stage.carry_out(check.before, "before")
            scene = play(stage, check.do, check.see, _scenario(stage, check, report))
            observations = observe_all(target, check.see, scene)
        result = CheckResult(
            id=check.id,
            says=check.says,
            observations=observations,
            do_error=joined(stage.troubles) if stage.troubles else None,
            seconds=time.monotonic() - began,
            do_ran=stage.ran,
            task=check.task,
            hint=check.hint,
            proves=check.proves,
        )
    if not result.passed:
        report(Event("note", f"check {check.id}: {'open task' if result.open_task else result.state.value}"))
    return result


def _scenario(stage: Stage, check: Check, report: Reporter) -> Callable[[], Played] | None:
    if check.scenario is None:
        return None
    return partial(play_scenario, stage, stage.target.lab.scenario(check.scenario), check.see, report)


def not_ready(target: LabUnderTest) -> tuple[ObservationResult, ...]:
    """What of the lab's `ready:` does not hold now."""
    looked = tuple(ObservationResult(says_of(one), one.witness, look(target, one, Scene())) for one in target.lab.ready)
    return tuple(one for one in looked if not one.verdict.passed)


def wait_ready(target: LabUnderTest, report: Reporter = silent, timeout_s: float = READY_S) -> None:
    """Return once all of `ready:` holds; `TimedOut` says what was seen last."""
    deadline = time.monotonic() + timeout_s * target.time_scale
    while missing := not_ready(target):
        if time.monotonic() >= deadline:
            seen = "; ".join(f"{one.verdict.expected.en}: {one.verdict.seen.en}" for one in missing)
            waited = f"{target.lab.name} is not ready after {timeout_s * target.time_scale:g} s"
            raise TimedOut(waited, why=seen, hint="labctl verify says more")
        time.sleep(AGAIN_S)

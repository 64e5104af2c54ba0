"""`selftest`: proves the checks of a running lab, by its sabotages. What counts as proof is `check/proof.py`'s.

Owns the order: each check passes (a task is red, then solved); each sabotage is applied, the check is run, the others until one of
them is green, the lab is put back, and the check passes again; at the end all are run, the whole lab is reset, and all are run again.
Where a reset starts saved machines, that is how the lab is put back each time, and no undo is trusted. Where it would boot them, only
what a sabotage touched is put back, the check must pass again, and the two runs at the end prove that this was enough.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from labctl.check.proof import CheckProof, SelftestReport, Trial
from labctl.check.readable import one_line
from labctl.check.undoing import Undoing, plan_inverse, plan_saved, plan_task_undoing, plan_undoing
from labctl.check.verdict import CheckResult
from labctl.check.wording import both, same
from labctl.engine.events import Event, Reporter, silent, step
from labctl.engine.sabotage import apply, put_back, says_of_sabotage, solve
from labctl.engine.stimulus import Stage
from labctl.engine.under_test import LabUnderTest
from labctl.engine.verify import applicable, choose_checks, run_check, verify, wait_ready
from labctl.errors import StepError
from labctl.lab.model import Check, Sabotage, Text

NOTHING_TO_PUT_BACK = both("nothing was changed", "何も変えていない")


def selftest(target: LabUnderTest, checks: Sequence[str] = (), report: Reporter = silent) -> SelftestReport:
    """Prove the checks with these ids (none named: all of the lab's variant). The lab must be as it is when it is ready."""
    began = time.monotonic()
    chosen = choose_checks(target.lab, checks)
    run = _Run(target, report)
    ordinary = tuple(check for check in chosen if not check.task)
    baselines = {check.id: run_check(target, check, report) for check in ordinary}
    run.learn(baselines)
    proven = {check.id: run.prove(check, baselines[check.id]) for check in ordinary}
    proven |= {check.id: run.prove_task(check) for check in chosen if check.task}
    partly = None if target.resets_quickly else verify(target, checks, report)
    with step(report, "full reset"):
        target.reset(())
        wait_ready(target, report)
    wholly = verify(target, checks, report)
    lab = target.lab
    proofs = tuple(proven[check.id] for check in chosen)
    return SelftestReport(lab.name, lab.title, lab.variant, target.accelerator, proofs, partly or wholly, wholly, time.monotonic() - began)


class _Run:
    """One self-test: the lab, who is told, and the other checks, the quickest first."""

    def __init__(self, target: LabUnderTest, report: Reporter) -> None:
        self._target = target
        self._report = report
        self._as_ready = target.lab
        self._ran: list[Check] = []  # other checks that ran under the sabotage of now
        self._others: tuple[Check, ...] = tuple(check for check in applicable(target.lab) if not check.task)

    def learn(self, baselines: Mapping[str, CheckResult]) -> None:
        """The other checks are run until one is green: those that pass now, in the order of the time they take."""
        unknown = float("inf")
        green = [check for check in self._others if check.id not in baselines or baselines[check.id].passed]
        self._others = tuple(sorted(green, key=lambda check: baselines[check.id].seconds if check.id in baselines else unknown))

    def prove(self, check: Check, baseline: CheckResult) -> CheckProof:
        """An ordinary check: without a baseline that passes its sabotages would prove nothing, and are not tried."""
        if not baseline.passed:
            return CheckProof(check, baseline)
        lab = self._as_ready
        saved = Undoing(saved=True) if self._target.resets_quickly else None
        trials = [self._try(check, number, way, saved or plan_undoing(lab, way)) for number, way in enumerate(check.sabotage, 1)]
        return CheckProof(check, baseline, tuple(trials))

    def prove_task(self, check: Check) -> CheckProof:
        """A task: red, solved, green, its sabotages, and unsolved again."""
        opened = run_check(self._target, check, self._report)
        try:
            solve(self._target, check)
        except StepError as refused:
            self._reset_all()
            return CheckProof(check, None, opened=opened, trouble=same(one_line(str(refused))))
        baseline = run_check(self._target, check, self._report)
        lab, ways = self._as_ready, check.sabotage if baseline.passed else ()
        saved = Undoing(saved=True, solve_again=True) if self._target.resets_quickly else None
        trials = [self._try(check, number, way, saved or plan_task_undoing(lab, way, check.solution)) for number, way in enumerate(ways, 1)]
        trouble = self._undo(Undoing(saved=True) if saved else plan_inverse(lab, check.solution), None)
        return CheckProof(check, baseline, tuple(trials), opened, trouble)

    def _try(self, check: Check, number: int, sabotage: Sabotage, undoing: Undoing) -> Trial:
        began = time.monotonic()
        says = says_of_sabotage(sabotage)
        with step(self._report, f"{check.id}, sabotage {number}: {says.en}"):
            trial = self._broken(check, sabotage, undoing, Trial(number, says, None, None, _way_back(undoing), reason=sabotage.kills_all))
            if trial.trouble is None and not undoing.saved:
                trial = replace(trial, again=run_check(self._target, check, self._report))
            if trial.trouble is not None or (trial.again and not trial.again.passed):
                self._start_over(check)
        for problem in trial.problems:
            self._report(Event("warning", f"{check.id}: {problem.en}"))
        return replace(trial, seconds=time.monotonic() - began)

    def _broken(self, check: Check, sabotage: Sabotage, undoing: Undoing, trial: Trial) -> Trial:
        """The trial with what was seen under the sabotage; the lab is put back whatever happens, Ctrl-C too."""
        try:
            stage = apply(self._target, sabotage)
        except StepError as refused:
            return replace(trial, trouble=same(one_line(str(refused))))
        trouble: Text | None = None
        self._ran = []
        try:
            result = run_check(self._target, check, self._report)
            all_red = not sabotage.kills_all and not result.passed and self._all_others_red(check)
        finally:
            if undoing.saved:
                actions = [action for ran in (check, *self._ran) for action in (*self._target.lab.actions_of(ran), *ran.solution)]
                undoing = plan_saved(self._as_ready, [*sabotage.actions, *actions], solve_again=undoing.solve_again)
            trouble = self._undo(undoing, stage, check if undoing.solve_again else None)
        return replace(trial, result=result, all_red=all_red, trouble=trouble)

    def _all_others_red(self, check: Check) -> bool:
        """Run the other checks until one passes. Where there is none, nothing is said: the only check of a lab may go red.

        One that survives is asked first the next time: those that a sabotage breaks wait for answers that do not come.
        """
        others = [other for other in self._others if other.id != check.id]
        for other in others:
            self._ran.append(other)
            if run_check(self._target, other, self._report).passed:
                self._others = (other, *(each for each in self._others if each is not other))
                return False
        return bool(others)

    def _undo(self, undoing: Undoing, stage: Stage | None, solve_again: Check | None = None) -> Text | None:
        """Put back and wait until the lab is ready; what went wrong, if anything did."""
        try:
            put_back(self._target, undoing, stage)
            wait_ready(self._target, self._report)
            if solve_again is not None:
                solve(self._target, solve_again)
        except StepError as refused:
            return same(one_line(str(refused)))
        return None

    def _start_over(self, check: Check) -> None:
        """The lab could not be put right by parts: reset all of it, so that what follows is judged on its own."""
        self._report(Event("warning", f"{check.id}: the lab was not put right by its parts and is reset as a whole"))
        self._reset_all()
        if check.task:
            solve(self._target, check)

    def _reset_all(self) -> None:
        self._target.reset(())
        wait_ready(self._target, self._report)


def _way_back(undoing: Undoing) -> Text:
    """How the lab is put back, for the report."""
    if undoing.saved:
        return both("from saved machines", "保存した状態から")
    ways = [both("by its inverse or undo", "逆の操作で")] if undoing.actions else []
    if undoing.resets:
        ways.append(both(f"by a reset of {', '.join(undoing.resets)}", f"{'、'.join(undoing.resets)} のリセットで"))
    return both(" and ".join(way.en for way in ways), "、".join(way.ja for way in ways)) if ways else NOTHING_TO_PUT_BACK

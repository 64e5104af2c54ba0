"""`compare`: the same work in several kinds of place, on the nodes of one lab; rounds over all kinds until the time is up.

Owns the order (every kind once, then the next round, so that an early end leaves all columns alike), the budget, and what is written where
a figure could not be had. What is measured, and how, stands beside the lab: `lab/comparison.py`.
"""

import os
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from labctl.check.comparing import Figures, Surroundings, figure_in
from labctl.engine import at_work
from labctl.engine.down import down
from labctl.engine.events import Event, Reporter, step
from labctl.engine.images import processor
from labctl.engine.instances import list_instances
from labctl.engine.under_test import LabUnderTest
from labctl.engine.up import UpOptions, up
from labctl.errors import LabError, StepError, TimedOut, UsageError
from labctl.lab.comparison import Comparison, Kind, Measure, Question, load_comparison
from labctl.lab.load import load_lab
from labctl.lab.values import seconds_of
from labctl.lab.words import meant

STOP_S, NEEDS_S, ANSWER_S = 60.0, 30.0, 30.0
OUT_OF_TIME = "not run: the time was up"
ONCE_IN = 2  # the round of what is measured once and takes long: first every kind has its column
INSIDE = "vehicle $KIND run"
PACKAGES = ("docker.io", "qemu-system-x86", "xen-hypervisor-4.17-amd64")  # whose versions a report names
Chosen = TypeVar("Chosen", Kind, Measure)


@dataclass(frozen=True)
class CompareOptions:
    """`quick`: one round of the quick measures. `budget_s`: begin no measure after so long. Empty `kinds` or `measures`: all."""

    quick: bool = False
    budget_s: float = 5400.0
    kinds: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    keep: bool = False


def compare(lab_file: Path, options: CompareOptions, report: Reporter) -> Figures:
    """Bring the lab up (or use it where it runs), measure, and take it down again if it did not run before."""
    comparison, lab = load_comparison(lab_file), load_lab(lab_file)
    kinds = _chosen(options.kinds, comparison.kinds, "kind")
    measures = _chosen(options.measures, comparison.measures, "measure")
    if not options.measures:
        measures = tuple(one for one in measures if one.quick or not options.quick)
    if strange := [kind.node for kind in kinds if kind.node not in {node.name for node in lab.nodes}]:
        raise UsageError(f"{lab.name} has no node `{strange[0]}`", why="its comparison.yaml names one")
    ran = lab.name in {one.id for one in list_instances()}
    record = up(lab, instance=lab.name, options=UpOptions(), report=report).record
    try:
        with at_work.opened(record, "compare", report) as (_, target):
            return Run(comparison, kinds, measures, options, target, report).measure()
    finally:
        if not ran and not options.keep:
            down(record, report)


def _chosen(wanted: Collection[str], known: tuple[Chosen, ...], what: str) -> tuple[Chosen, ...]:
    for word in wanted:
        if word not in {one.id for one in known}:
            raise UsageError(f"no {what} `{word}`", hint=meant(word, [one.id for one in known]))
    return tuple(one for one in known if not wanted or one.id in wanted)


class Run:
    """One run over a running lab."""

    def __init__(
        self,
        comparison: Comparison,
        kinds: tuple[Kind, ...],
        measures: tuple[Measure, ...],
        options: CompareOptions,
        target: LabUnderTest,
        report: Reporter,
    ) -> None:
        self._options, self._target, self._report = options, target, report
        start = next(one for one in comparison.measures if one.id == comparison.start)
        self._start, self._others = start, tuple(one for one in measures if one.id != start.id)
        self._began = time.monotonic()
        self.figures = Figures(comparison, _surroundings(target), kinds=kinds, measures=(start, *self._others), quick=options.quick)

    def measure(self) -> Figures:
        """All rounds, as far as the time goes."""
        try:
            able = [kind for kind in self.figures.kinds if self._is_able(kind)]
            for number in range(1, 1 + self._rounds()):
                for kind in able:
                    if number <= self._rounds(kind):
                        self._round(kind, number)
        except KeyboardInterrupt:
            if not self.figures.samples:
                raise
            self._report(Event("warning", "broken off: what was measured until now follows"))
        self.figures.seconds = time.monotonic() - self._began
        return self.figures

    def _rounds(self, kind: Kind | None = None) -> int:
        """How many rounds there are, of `kind` if it has fewer."""
        most = 1 if self._options.quick else self.figures.comparison.rounds
        return min(most, (kind and kind.rounds) or most)

    def _is_able(self, kind: Kind) -> bool:
        if self._options.quick and not kind.quick and kind.id not in self._options.kinds:
            self._all_missing(kind, "not in the short run")
            return False
        if kind.needs is None:
            return True
        answer = self._target.run_on(kind.node, _script(kind, kind.needs), timeout_s=NEEDS_S * self._target.time_scale)
        if answer.status == 0:
            return True
        self._all_missing(
            kind, (answer.text.strip() or answer.stderr.decode(errors="replace").strip() or "not on this host").splitlines()[-1]
        )
        return False

    def _all_missing(self, kind: Kind, why: str) -> None:
        self._report(Event("warning", f"{kind.title.en}: {why}"))
        for measure in self.figures.measures:
            if not self.figures.samples.get((measure.id, kind.id)):
                self.figures.missing.setdefault((measure.id, kind.id), why)

    def _round(self, kind: Kind, number: int) -> None:
        if self._is_late():
            return self._all_missing(kind, OUT_OF_TIME)
        with step(self._report, f"{kind.title.en}, run {number}"):
            try:
                if not self._sample(self._start, kind):
                    return self._all_missing(kind, self.figures.why_missing(self._start.id, kind.id))
                for measure in self._others:
                    if measure.once and number != min(ONCE_IN, self._rounds(kind)):
                        continue
                    if kind.id in measure.not_for:
                        self.figures.missing[measure.id, kind.id] = "says nothing here"
                    elif self._is_late():
                        self.figures.missing.setdefault((measure.id, kind.id), OUT_OF_TIME)
                    else:
                        self._sample(measure, kind)
                if number == 1 and not self._options.quick:
                    self._ask(kind)
            finally:
                self._stop(kind)
        return None

    def _stop(self, kind: Kind) -> None:
        """A kind that cannot be ended in time costs nobody the figures that are there."""
        try:
            self._target.run_on(kind.node, f"vehicle {kind.id} stop", timeout_s=STOP_S * self._target.time_scale)
        except LabError as failed:
            self._report(Event("warning", f"{kind.title.en}: {_reason(failed)}"))

    def _is_late(self) -> bool:
        return time.monotonic() - self._began > self._options.budget_s

    def _sample(self, measure: Measure, kind: Kind) -> bool:
        """One figure more, or the reason why there is none."""
        try:
            text = self._printed(measure, kind, seconds_of(measure.within))
            self.figures.samples.setdefault((measure.id, kind.id), []).append(figure_in(measure.pattern, text))
            return True
        except (LabError, ValueError) as failed:
            self.figures.missing[measure.id, kind.id] = why = _reason(failed)
            self._report(Event("warning", f"{kind.title.en}: {measure.title.en}: {why}"))
            return False

    def _ask(self, kind: Kind) -> None:
        for question in self.figures.comparison.questions:
            if kind.id in question.not_for:
                continue
            try:
                self.figures.answers[question.id, kind.id] = self._printed(question, kind, ANSWER_S).strip()
            except LabError as failed:
                self.figures.answers[question.id, kind.id] = _reason(failed)

    def _printed(self, asked: Measure | Question, kind: Kind, within_s: float) -> str:
        """What the command prints; `StepError` with its last words if its status is not 0."""
        command = asked.node if asked.node is not None else f"{INSIDE} <<'END-OF-COMMAND'\n{asked.inside}\nEND-OF-COMMAND"
        done = self._target.run_on(kind.node, _script(kind, command), timeout_s=within_s * self._target.time_scale)
        if done.status:
            words = (done.text + done.stderr.decode(errors="replace")).strip().splitlines()
            raise StepError(f"{asked.id}: status {done.status}", why=words[-1] if words else "")
        return done.text


def _script(kind: Kind, command: str) -> str:
    return f"export KIND={kind.id}\n{command}"


def _reason(failed: Exception) -> str:
    """Why there is no figure, in one line. Of a command that took too long the reason is that, not its text."""
    words = failed.why if isinstance(failed, LabError) and failed.why and not isinstance(failed, TimedOut) else ""
    return (words or getattr(failed, "what", "") or str(failed)).splitlines()[0][:160]


def _surroundings(target: LabUnderTest) -> Surroundings:
    asked = (
        "uname -r\n" + "".join(f"dpkg-query -W -f '${{Package}} ${{Version}}\\n' {package} 2>/dev/null\n" for package in PACKAGES) + "true"
    )
    versions: dict[str, str] = {}
    for name in (node.name for node in target.lab.nodes):
        lines = target.run_on(name, asked, timeout_s=NEEDS_S * target.time_scale).text.splitlines()
        versions |= {f"kernel of {name}": lines[0] if lines else "unknown"}
        versions |= {package: version for package, _, version in (line.partition(" ") for line in lines[1:])}
    emulated = target.accelerator != "kvm"
    nesting = "software emulation within software emulation" if emulated else "nested KVM, by the host's processor"
    machine = f"{processor()}, {os.cpu_count()} cores"
    return Surroundings(machine, target.accelerator, nesting, versions, time.strftime("%Y-%m-%d"))

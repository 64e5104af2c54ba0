"""`compare`: the same work in several kinds of place, on the nodes of one lab; rounds over all kinds until the time is up.

Owns the order (every kind once, then the next round, so that an early end leaves all columns alike), the budget, and what is written where
a figure could not be had. What is measured, and how, stands beside the lab: `lab/comparison.py`.
"""

import os
import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from labctl.check.comparing import OUT_OF_TIME, SAYS_NOTHING, SHORT_RUN, Figures, Surroundings, figure_in
from labctl.check.comparison_run import figures_of, require_same
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
ONCE_IN = 2  # the round of what is measured once and takes long: first every kind has its column
INSIDE = "vehicle $KIND run"
PACKAGES = ("docker.io", "qemu-system-x86", "xen-hypervisor-4.17-amd64")  # whose versions a report names
Chosen = TypeVar("Chosen", Kind, Measure)


@dataclass(frozen=True)
class CompareOptions:
    """`quick`: one round of the quick measures. `budget_s`: begin no measure after so long. Empty `kinds` or `measures`: all.

    `earlier`: a run's JSON, whose rounds count as done.
    """

    quick: bool = False
    budget_s: float = 5400.0
    kinds: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    keep: bool = False
    earlier: Path | None = None


def compare(lab_file: Path, options: CompareOptions, report: Reporter) -> Figures:
    """Bring the lab up (or use it where it runs), measure, and take it down again if it did not run before.

    `UsageError` for options that do not fit, before anything starts; for an earlier run of another machine once the nodes are asked.
    """
    comparison, lab = load_comparison(lab_file), load_lab(lab_file)
    kinds = _chosen(options.kinds, comparison.kinds, "kind")
    measures = _chosen(options.measures, comparison.measures, "measure")
    if not options.measures:
        measures = tuple(one for one in measures if one.quick or not options.quick)
    if strange := [kind.node for kind in kinds if kind.node not in {node.name for node in lab.nodes}]:
        raise UsageError(f"{lab.name} has no node `{strange[0]}`", why="its comparison.yaml names one")
    earlier = _earlier(options.earlier, comparison) if options.earlier else None
    ran = lab.name in {one.id for one in list_instances()}
    record = up(lab, instance=lab.name, options=UpOptions(), report=report).record
    try:
        with at_work.opened(record, "compare", report) as (_, target):
            return Run(comparison, kinds, measures, options, target, report, earlier).measure()
    finally:
        if not ran and not options.keep:
            down(record, report)


def _earlier(file: Path, comparison: Comparison) -> Figures:
    """The figures of an earlier run, read before anything is started."""
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as failed:
        why = failed.strerror if isinstance(failed, OSError) else "it is no text"
        raise UsageError(f"{file} cannot be read", why=why or "", hint="labctl compare --json > run.json writes one") from None
    return figures_of(text, str(file), comparison)


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
        earlier: Figures | None = None,
    ) -> None:
        self._options, self._target, self._report, self._kinds = options, target, report, kinds
        start = next(one for one in comparison.measures if one.id == comparison.start)
        self._start, self._others = start, tuple(one for one in measures if one.id != start.id)
        self._began = time.monotonic()
        self.figures = Figures(comparison, _surroundings(target), kinds=kinds, measures=(start, *self._others), quick=options.quick)
        if earlier is not None:
            self._go_on_from(earlier)
        self._earlier_s = self.figures.seconds

    def _go_on_from(self, earlier: Figures) -> None:
        """Count what was measured before as measured; what was missing there and is asked for now is tried again."""
        ours, now = self.figures, self.figures.surroundings
        require_same(earlier.surroundings, now)
        ours.samples = {cell: list(values) for cell, values in earlier.samples.items()}
        unfinished = {(measure.id, kind.id) for kind in self._kinds if self._done(kind) < self._rounds(kind) for measure in ours.measures}
        ours.missing = {cell: why for cell, why in earlier.missing.items() if cell not in unfinished}
        ours.answers = dict(earlier.answers)
        ours.kinds = tuple(one for one in ours.comparison.kinds if one in ours.kinds or one in earlier.kinds)
        ours.measures = tuple(one for one in ours.comparison.measures if one in ours.measures or one in earlier.measures)
        ours.quick, ours.seconds = ours.quick and earlier.quick, earlier.seconds
        if now.date not in earlier.surroundings.date:
            ours.surroundings = replace(now, date=f"{earlier.surroundings.date}, {now.date}")

    def measure(self) -> Figures:
        """All rounds, as far as the time goes."""
        try:
            done = {kind.id: self._done(kind) for kind in self._kinds}
            able = [kind for kind in self._kinds if done[kind.id] < self._rounds(kind) and self._is_able(kind)]
            for number in range(1, 1 + self._rounds()):
                for kind in able:
                    if done[kind.id] < number <= self._rounds(kind):
                        self._round(kind, number, first=number == done[kind.id] + 1)
        except KeyboardInterrupt:
            if not self.figures.samples:
                raise
            self._report(Event("warning", "broken off: what was measured until now follows"))
        self.figures.seconds = self._earlier_s + time.monotonic() - self._began
        return self.figures

    def _rounds(self, kind: Kind | None = None) -> int:
        """How many rounds there are, of `kind` if it has fewer."""
        most = 1 if self._options.quick else self.figures.comparison.rounds
        return min(most, (kind and kind.rounds) or most)

    def _done(self, kind: Kind) -> int:
        """How many rounds of this kind are whole: what an earlier run was broken off in is not."""
        counts = [self._has(one, kind) for one in (self._start, *self._others) if not one.once and kind.id not in one.not_for]
        lacks_one = any(one.once and kind.id not in one.not_for and not self._has(one, kind) for one in self._others)
        return min(*counts, self._rounds(kind) - lacks_one)

    def _has(self, measure: Measure, kind: Kind) -> int:
        return len(self.figures.samples.get((measure.id, kind.id), ()))

    def _is_due(self, measure: Measure, kind: Kind, number: int, *, first: bool) -> bool:
        """Whether this round of this kind has to measure it; `first`: the kind's first round in this run."""
        if not measure.once:
            return self._has(measure, kind) < number
        begins = min(ONCE_IN, self._rounds(kind))
        return not self._has(measure, kind) and (number == begins or (first and number > begins))

    def _is_able(self, kind: Kind) -> bool:
        if self._options.quick and not kind.quick and kind.id not in self._options.kinds:
            self._all_missing(kind, SHORT_RUN.en)
            return False
        if kind.needs is None:
            return True
        answer = self._target.run_on(kind.node, _script(kind, kind.needs), timeout_s=NEEDS_S * self._target.time_scale)
        if answer.status == 0:
            return True
        said = answer.text.strip() or answer.stderr.decode(errors="replace").strip() or "not on this host"
        self._all_missing(kind, kind.lacks.en if kind.lacks else said.splitlines()[-1])
        return False

    def _all_missing(self, kind: Kind, why: str) -> None:
        self._report(Event("warning", f"{kind.title.en}: {why}"))
        for measure in self.figures.measures:
            if not self.figures.samples.get((measure.id, kind.id)):
                self.figures.missing.setdefault((measure.id, kind.id), SAYS_NOTHING.en if kind.id in measure.not_for else why)

    def _round(self, kind: Kind, number: int, *, first: bool) -> None:
        if self._is_late():
            return self._all_missing(kind, OUT_OF_TIME.en)
        with step(self._report, f"{kind.title.en}, run {number}"):
            try:
                if not self._sample(self._start, kind):
                    return self._all_missing(kind, self.figures.why_missing(self._start.id, kind.id))
                for measure in self._others:
                    if not self._is_due(measure, kind, number, first=first):
                        continue
                    if kind.id in measure.not_for:
                        self.figures.missing[measure.id, kind.id] = SAYS_NOTHING.en
                    elif self._is_late():
                        self.figures.missing.setdefault((measure.id, kind.id), OUT_OF_TIME.en)
                    else:
                        self._sample(measure, kind)
                if first and not self._options.quick:
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

"""Verbs on one running instance: each opens it under its lock, acts, and leaves the record telling the truth.

Owns that frame, and the way through all variants of a lab and back. What is done inside it is the other files': `verify`, `selftest`,
`sabotage`, `reset`, `links`, `power`.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from labctl.check.probes import ScenarioRun
from labctl.check.proof import SelftestReport
from labctl.check.tracing import Trace
from labctl.check.verdict import CheckResult, VerifyReport
from labctl.engine import points, power
from labctl.engine import sabotage as sabotages
from labctl.engine import selftest as proofs
from labctl.engine import verify as checks
from labctl.engine.down import down
from labctl.engine.events import Event, Reporter, silent, step
from labctl.engine.images import layers_of
from labctl.engine.instances import InstanceRecord, find_instance, held_instance, taken_down, write_record
from labctl.engine.running import RunningLab
from labctl.engine.scenario import play_scenario
from labctl.engine.session import Session, open_session
from labctl.engine.stimulus import Stage
from labctl.engine.strays import remove_strays
from labctl.engine.under_test import LabUnderTest
from labctl.engine.up import UpOptions, up
from labctl.errors import LockHeld, TimedOut, UsageError
from labctl.lab.impairments import read_words
from labctl.lab.load import load_lab
from labctl.lab.model import Check, Text
from labctl.lab.topology import End, Lab
from labctl.lab.words import meant

WATCH_S = 1.0
Outcome = TypeVar("Outcome")


@contextmanager
def opened(record: InstanceRecord, doing: str, report: Reporter) -> Iterator[tuple[Session, RunningLab]]:
    """The instance, held and open, with the lab of its file in the variant that runs."""
    with held_instance(record, doing) as held, open_session(held) as session:
        remove_strays(session)
        yield session, RunningLab(session, lab_of(held), report)


@contextmanager
def in_one_go(session: Session, words: str) -> Iterator[None]:
    """Remember on the record that all nodes are being changed by the verb `words`, until that is done: nodes may be of two times else."""
    if words:
        _note_unfinished(session, words)
    yield
    if words:
        _note_unfinished(session, "")


def need_all_nodes(record: InstanceRecord, lab: Lab) -> None:
    """`UsageError` unless the instance has just the nodes of its lab file: `down` took one away, or the file has changed."""
    here, wanted = ([node.name for node in nodes] for nodes in (record.nodes, lab.nodes))
    missing, left = ", ".join(name for name in wanted if name not in here), ", ".join(name for name in here if name not in wanted)
    if why := "; ".join(filter(None, (missing and f"not here: {missing}", left and f"not in the file: {left}"))):
        raise UsageError(f"{record.id} has not the nodes of its lab file", why=why, hint=f"labctl up {record.lab} brings the change over")


def _note_unfinished(session: Session, words: str) -> None:
    session.record = replace(session.record, unfinished=words)
    write_record(session.record)


def lab_of(record: InstanceRecord) -> Lab:
    return load_lab(Path(record.file), variant=record.variant)


# --- the lesson ------------------------------------------------------------------------------------------------------------------


def verify(record: InstanceRecord, ids: Sequence[str], variant: str | None, report: Reporter) -> tuple[VerifyReport, ...]:
    """The checks in one variant, or in each of the lab's."""
    if record.alive and lab_of(record).digest != record.digest:
        report(Event("warning", f"{record.file} has changed since {record.id} came up; labctl up brings the change over"))
    return _in_variants(record, ids, variant, "verify", report, lambda _, target, here: checks.verify(target, here, report))


def watched(record: InstanceRecord, ids: Sequence[str]) -> tuple[Check, ...]:
    """The checks that `watch` goes through: those named, else all of the variant that run no scenario."""
    chosen = checks.choose_checks(lab_of(record), ids)
    return tuple(check for check in chosen if ids or check.scenario is None)


def watch(record: InstanceRecord, ids: Sequence[str], *, pause_s: float = WATCH_S) -> Iterator[CheckResult]:
    """The checks again and again, one result after the other, without end. The lab is let go between two, for those who work on it."""
    chosen = [check.id for check in watched(record, ids)]
    while True:
        for wanted in chosen:
            try:
                with opened(record, "watch", silent) as (_, target):
                    result = checks.run_check(target, checks.choose_checks(target.lab, [wanted])[0])
            except LockHeld:
                continue  # somebody is at work on it
            yield result
            time.sleep(pause_s)
        if not chosen:
            return


def selftest(record: InstanceRecord, ids: Sequence[str], variant: str | None, report: Reporter) -> tuple[SelftestReport, ...]:
    """The proof of the checks in one variant, or in each. A lab that was changed is put back first: proofs start from what is known."""
    return _in_variants(
        record, ids, variant, "selftest", report, lambda session, target, here: _prove(session, target, here, report), anew=True
    )  # fmt: skip


def _prove(session: Session, target: LabUnderTest, ids: Sequence[str], report: Reporter) -> SelftestReport:
    record = session.record
    need_all_nodes(record, target.lab)
    if record.broken or record.cut or record.settings or record.impairments:
        _reset(session, target, ())
    return proofs.selftest(target, ids, report)


def _in_variants(
    record: InstanceRecord,
    ids: Sequence[str],
    variant: str | None,
    doing: str,
    report: Reporter,
    act: Callable[[Session, RunningLab, Sequence[str]], Outcome],
    *,
    anew: bool = False,
) -> tuple[Outcome, ...]:
    """`act` in each wanted variant, with those of the checks `ids` that belong to it; afterwards it is in the variant it was in.

    With `anew` another variant is not made from the lab that runs, it starts by itself: then it has a checkpoint of its own, to which
    it is put back in seconds, and what was done in the machines before is gone.
    """
    lab = lab_of(record)
    if variant:
        checks.choose_checks(load_lab(Path(record.file), variant=variant), ids)  # says what does not belong to it
    belongs = {name: [check.id for check in lab.checks if check.id in ids and check.variant in (None, name)] for name in lab.variants}
    unknown = [wanted for wanted in ids if wanted not in {check.id for check in lab.checks}]
    checks.choose_checks(lab, unknown)  # says what was probably meant
    wanted = [name for name in ((variant,) if variant else lab.variants) if not ids or belongs.get(name)]
    results = []
    try:
        for name in sorted(wanted, key=lambda name: name != record.variant):  # the one that runs comes first
            _bring_to(record, name, report, anew)
            with opened(record, doing, report) as (session, target):
                results.append(act(session, target, belongs.get(name, ())))
    finally:
        if record.directory.exists():  # else another labctl took it down meanwhile
            _bring_to(record, record.variant, report, anew)
    return tuple(results)


def _bring_to(record: InstanceRecord, variant: str, report: Reporter, anew: bool) -> None:
    """The instance in `variant`. `UsageError` if another labctl took it down: what somebody ended stays ended."""
    if find_instance(instance=record.id).variant == variant:
        return
    lab, before = load_lab(Path(record.file), variant=variant), lab_of(record)
    options = UpOptions(allow_uplink=record.uplink_allowed, existing=not anew)
    if anew and not down(record, report):
        raise taken_down(record.id, record.lab)
    try:
        up(lab, instance=record.id, options=options, report=report)
    except BaseException:
        if anew and not record.directory.exists():  # it did not start in this variant
            up(before, instance=record.id, options=options, report=report)
        raise


def break_lab(record: InstanceRecord, check: str | None, seed: int | None, report: Reporter) -> sabotages.Breakage:
    """Apply a sabotage and remember it on the record. `UsageError` if one is applied already: two faults hide each other."""
    with opened(record, "break", report) as (session, target):
        return _break(session, target, check, seed)


def _break(session: Session, target: LabUnderTest, check: str | None, seed: int | None) -> sabotages.Breakage:
    if session.record.broken:
        raise UsageError(f"{session.record.id} is broken already", hint="labctl break --reveal tells how, labctl reset heals it")
    broken = sabotages.break_lab(target, check, seed)
    session.record = replace(session.record, broken=asdict(broken))
    write_record(session.record)
    return broken


def what_is_broken(record: InstanceRecord) -> sabotages.Breakage:
    """The sabotage that `break` applied; `UsageError` if there is none."""
    if not record.broken:
        raise UsageError(f"nothing was broken in {record.id}", hint="labctl break breaks something")
    values: dict[str, Any] = {**record.broken, "nodes": tuple(record.broken["nodes"])}
    return sabotages.Breakage(**values)


def run_scenario(record: InstanceRecord, name: str, report: Reporter) -> tuple[ScenarioRun, tuple[Text, ...]]:
    """Run a scenario of the lab; what came of it, and what could not be done."""
    with opened(record, "run a scenario on", report) as (_, target):
        known = [one.name for one in target.lab.scenarios]
        if name not in known:
            raise UsageError(f"no scenario `{name}` in {target.lab.name}", hint=meant(name, known) if known else "its lab file has none")
        stage = Stage(target)
        return play_scenario(stage, target.lab.scenario(name), (), report).run, tuple(stage.troubles)


def solve(record: InstanceRecord, check: str | None, report: Reporter) -> str:
    """Carry out the solution of a task, or of the lab's only one; its id."""
    with opened(record, "solve", report) as (_, target):
        tasks = [each for each in checks.applicable(target.lab) if each.task]
        if check is None and len(tasks) != 1:
            known = ", ".join(task.id for task in tasks)
            raise UsageError(f"{target.lab.name} has {len(tasks)} tasks", hint=f"say which: {known}" if tasks else "")
        chosen = checks.choose_checks(target.lab, [check])[0] if check else tasks[0]
        sabotages.solve(target, chosen)
        return chosen.id


# --- the machines ----------------------------------------------------------------------------------------------------------------


def reset(record: InstanceRecord, nodes: Sequence[str], report: Reporter) -> None:
    """Nodes as they were when the lab was ready; none named: all of them, their cables and settings too."""
    with opened(record, "reset", report) as (session, target):
        _reset(session, target, nodes)


def _reset(session: Session, target: LabUnderTest, nodes: Sequence[str]) -> None:
    if not nodes:
        need_all_nodes(session.record, target.lab)
    with in_one_go(session, "reset" if not nodes else ""):
        target.reset(nodes)


def start(record: InstanceRecord, nodes: Sequence[str], report: Reporter) -> None:
    """Start nodes that are off, on the disks they have."""
    with opened(record, "start nodes of", report) as (session, target):
        power.start(session, target.lab, nodes, layers_of(record), report)
        all_run = not any(node.halted for node in session.record.nodes)
        if all_run and not (session.record.broken or session.record.cut):
            _wait_for_lesson(target, report)


def _wait_for_lesson(target: RunningLab, report: Reporter) -> None:
    """Wait until what the lab calls ready holds again. If it does not, that is told and no more: the fault may be the lesson."""
    if target.lab.ready:
        with step(report, "the lab's own readiness"):
            try:
                checks.wait_ready(target, report)
            except TimedOut as late:
                report(Event("warning", f"{late.what} ({late.why})"))


def change_settings(record: InstanceRecord, node: str, changes: Mapping[str, Any], report: Reporter) -> None:
    """Change settings of a node's role on the running node."""
    with opened(record, "change settings of", report) as (_, target):
        target.set_settings(node, changes)


def cut(record: InstanceRecord, end: str, report: Reporter) -> None:
    with opened(record, "cut a cable of", report) as (_, target):
        target.cut(_end(end))


def restore(record: InstanceRecord, end: str, report: Reporter) -> None:
    with opened(record, "restore a cable of", report) as (_, target):
        target.restore(_end(end))


def impair(record: InstanceRecord, end: str, words: Mapping[str, Any], report: Reporter, *, one_way: bool = False) -> None:
    """Change what the link at `end` does to frames: `{"delay": "30ms"}`; what is not named stays."""
    changes = read_words(words)
    with opened(record, "impair a link of", report) as (_, target):
        target.impair(_end(end), changes, one_way=one_way)


def clear(record: InstanceRecord, ends: Sequence[str], report: Reporter) -> tuple[str, ...]:
    """Make the links at `ends`, or every link, as the lab file says; the ends of those that were not."""
    with opened(record, "clear links of", report) as (session, target):
        known = session.record.impairments
        worse = tuple(a for a, b in session.record.cables if a in known or b in known)
        for end in ends or worse:
            target.clear(_end(end))
        return tuple(ends) or worse


def move(record: InstanceRecord, end: str, to: str, report: Reporter) -> None:
    with opened(record, "move a cable of", report) as (_, target):
        target.move(_end(end), _end(to))


def _end(text: str) -> End:
    node, colon, interface = text.partition(":")
    if not colon:
        raise UsageError(f"'{text}' is no interface of a node", hint="as in pc1:eth1; labctl link show lists them")
    return End(node, interface)


def trace(record: InstanceRecord, source: str, to: str, by: str, report: Reporter) -> Trace:
    """Follow one packet over every cable."""
    from labctl.engine import trace as tracing

    with opened(record, "trace a packet in", report) as (session, target):
        return tracing.trace(session, target, source, to, by, report)


# --- points ----------------------------------------------------------------------------------------------------------------------


def save_point(record: InstanceRecord, name: str, report: Reporter) -> points.Point:
    """Save the running lab under `name`."""
    with opened(record, "save", report) as (session, target):
        need_all_nodes(session.record, target.lab)
        return points.save_point(session, target.lab, layers_of(session.record), name, report)


def goto_point(record: InstanceRecord, name: str, report: Reporter) -> None:
    """Bring the running lab back to a point."""
    with opened(record, "go back in", report) as (session, target):
        need_all_nodes(session.record, target.lab)
        layers = layers_of(session.record)
        place = points.fitting_point(session.record, target.lab, layers, name)
        with in_one_go(session, f"checkpoint goto {name}"):
            points.goto_point(session, target.lab, layers, place, report)

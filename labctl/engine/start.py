"""How the machines of a lab are started: whole from its checkpoint, cloned from warm images, or booted; and saved when they are new.

Owns the ways and the way down from one to the next: what does not start in time is started again the next way down, and says so. What
the machines are wired to and named is settled before (`engine/up`).
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.engine import nodes as machines
from labctl.engine.checkpoints import checkpoint_digest, checkpoint_store, save_lab, start_from
from labctl.engine.events import Event, Reporter, step
from labctl.engine.instances import NodeRecord, write_record
from labctl.engine.journal import Journal
from labctl.engine.parallel import workers
from labctl.engine.provision import Rendered, provision_node, render
from labctl.engine.renew import call_off_renewal
from labctl.engine.session import Session
from labctl.engine.warm import ram_of, start_clone, warm_image
from labctl.errors import NoRoom, StepError
from labctl.guest.worker import Worker
from labctl.host.accelerator import Accelerator
from labctl.host.places import cache_directory
from labctl.host.start_trial import FAILS, STREAM, WORKS, known_trial
from labctl.host.warmstarts import SavedMachine
from labctl.lab.plan import BootNode, ConfigureNode, MakeNode, Plan, RestartNode, ResumeNode, StartInstance, Step, hardware_of, setup_of
from labctl.lab.topology import Lab

if TYPE_CHECKING:
    from labctl.host.images import LayerFiles

    Layers = Mapping[str, LayerFiles]


class Way(StrEnum):
    """Ways of starting, the quickest first."""

    CHECKPOINT = "checkpoint"
    CLONE = "clone"
    STREAM = "stream"
    COLD = "cold"


def start_lab(
    session: Session, lab: Lab, layers: "Layers", plan: Plan, way: Way, report: Reporter, *, fresh: bool = False, resumed: bool = False
) -> None:
    """Carry out the plan's steps on nodes until the lab is ready. A lab that is new here is saved, and runs on from what was saved.

    `resumed`: another `up` began and was broken off.
    """
    new = bool(plan.of(StartInstance)) and len(plan.of(MakeNode)) == len(lab.nodes)
    digest = checkpoint_digest(lab, layers, session.record.accelerator)
    saving = new and way is Way.CHECKPOINT and not any(node.uplink for node in lab.nodes)
    if saving and not fresh and _start_known(session, lab, layers, digest, report):
        return
    _start_nodes(session, lab, layers, plan, way, to_be_saved=saving, report=report)
    wait_until_ready(session, lab, report)
    saved = _try_to_save(session, digest, report) if saving and _all_can_be_saved(session) and _ram_files_work(session) else None
    if saved is not None:
        start_from(session, saved, lab, layers, [node.name for node in lab.nodes], report)
    elif saving or resumed:  # machines that were to be saved
        with workers() as pool:
            list(pool.map(lambda node: call_off_renewal(session, node.name), lab.nodes))
    _remember(session, str(checkpoint_store().find(digest) or ""))  # what `reset` goes back to: this lab in this variant, or nothing


def _start_known(session: Session, lab: Lab, layers: "Layers", digest: str, report: Reporter) -> bool:
    """Whether the lab's checkpoint was there and all of it started."""
    place = checkpoint_store().find(digest)
    if place is None:
        return False
    names = [node.name for node in lab.nodes]
    try:
        start_from(session, place, lab, layers, names, report)
    except StepError as failed:
        report(Event("warning", f"the lab's checkpoint does not start ({failed.what}: {failed.why}); its machines are made anew"))
        for name in names:
            session.hypervisor.stop(name)
        checkpoint_store().remove(place)
        return False
    listed = tuple(_as_set_up(lab, node) for node in session.record.nodes)
    session.record = replace(session.record, nodes=listed)
    _remember(session, str(place))
    return True


def _try_to_save(session: Session, digest: str, report: Reporter) -> Path | None:
    """The lab's checkpoint; None where none can be made, for want of room above all: the lab runs on without."""
    try:
        return save_lab(session, digest, report)
    except (StepError, NoRoom) as failed:
        report(Event("warning", f"the lab is not saved, so its next start takes as long ({failed})"))
        return None


def _remember(session: Session, place: str) -> None:
    session.record = replace(session.record, checkpoint=place)
    write_record(session.record)


def _ram_files_work(session: Session) -> bool:
    trial = known_trial(cache_directory(), session.record.accelerator)
    return trial is None or trial.way == WORKS


def _all_can_be_saved(session: Session) -> bool:
    """Only machines on RAM files of their own; one that had to be booted has none."""
    return all(ram_of(session, node.name).exists() for node in session.record.nodes)


def _start_nodes(
    session: Session, lab: Lab, layers: "Layers", plan: Plan, way: Way, *, to_be_saved: bool, report: Reporter
) -> None:  # fmt: skip
    """Nodes in parallel, as many at once as there are cores; those with the most NICs, which take the longest, first."""
    work = [todo for todo in plan.steps if isinstance(todo, MakeNode | BootNode | ResumeNode | RestartNode | ConfigureNode)]
    work.sort(key=lambda todo: len(lab.node(todo.subject).nics), reverse=True)
    rendered = render(lab, tuple(todo.subject for todo in work))
    new = [todo.subject for todo in work if isinstance(todo, MakeNode)]
    warm = {} if way is Way.COLD else _try_warm_images(session, lab, layers, new, way, report)
    errors: list[StepError] = []
    with workers() as pool:
        starter = _Starter(session, lab, layers, warm, rendered, to_be_saved, report)
        futures = [pool.submit(starter.start, todo) for todo in work]
        for future in futures:
            try:
                session.record = session.record.with_node(_as_set_up(lab, future.result()))
            except StepError as failed:
                errors.append(failed)
    write_record(session.record)
    if errors:
        also = "; ".join(error.what for error in errors[1:])
        errors[0].hint = "; also: ".join(part for part in (errors[0].hint, also) if part)
        raise errors[0]


def _try_warm_images(
    session: Session, lab: Lab, layers: "Layers", names: Sequence[str], way: Way, report: Reporter
) -> Mapping[str, SavedMachine]:  # fmt: skip
    """What nodes are cloned from, the next way down where one fails; nothing at the end: then they are booted. Each step down is said."""
    trial = known_trial(cache_directory(), session.record.accelerator)
    if trial is not None and trial.way == FAILS:
        report(Event("warning", f"clones do not start on this host ({trial.why}); machines are booted"))
        return {}
    if way is not Way.STREAM and (trial is None or trial.way != STREAM):
        try:
            return _warm_images(session, lab, layers, names, report, whole=False)
        except NoRoom as failed:
            report(Event("warning", f"no machine can be cloned ({failed.what}: {failed.why}); machines are booted"))
            return {}
        except StepError as failed:
            report(Event("warning", f"no machine can be cloned ({failed.what}: {failed.why}); saved ones are loaded whole"))
    try:
        return _warm_images(session, lab, layers, names, report, whole=True)
    except (StepError, NoRoom) as failed:
        report(Event("warning", f"no saved machine starts ({failed.what}: {failed.why}); machines are booted"))
        return {}


def _warm_images(
    session: Session, lab: Lab, layers: "Layers", names: Sequence[str], report: Reporter, *, whole: bool
) -> Mapping[str, SavedMachine]:  # fmt: skip
    """Node → the machine that it is cloned from; one boot for each kind of machine, as many at once as there are cores."""
    accelerator = Accelerator("kvm" if session.record.accelerator == "kvm" else "tcg", "", session.record.time_scale)
    kinds = {name: (layers[name].digest, lab.node(name).memory_mib, lab.node(name).cpus) for name in names}
    first = {kind: name for name, kind in reversed(kinds.items())}
    with workers() as pool:
        image = partial(warm_image, accelerator=accelerator, report=report, whole=whole)
        made = {kind: pool.submit(image, layers[name], kind[1], kind[2]) for kind, name in first.items()}
        return {name: made[kind].result() for name, kind in kinds.items()}


def _as_set_up(lab: Lab, record: NodeRecord) -> NodeRecord:
    node = lab.node(record.name)
    return replace(record, setup=setup_of(lab, node), hardware=hardware_of(node), halted=False)


class _Starter:
    """What all nodes of one start have in common."""

    def __init__(
        self,
        session: Session,
        lab: Lab,
        layers: "Layers",
        warm: Mapping[str, SavedMachine],
        rendered: Rendered,
        to_be_saved: bool,
        report: Reporter,
    ) -> None:
        self._session = session
        self._lab = lab
        self._layers = layers
        self._warm = warm
        self._rendered = rendered
        self._to_be_saved = to_be_saved
        self._report = report

    def start(self, todo: Step) -> NodeRecord:
        """One node, started and provisioned; its record as it is then."""
        record = self._session.record.node(todo.subject)
        worker = None
        with step(self._report, todo.what, record.name), ExitStack() as stack:
            if isinstance(todo, RestartNode):
                machines.halt(self._session, record)
            if isinstance(todo, MakeNode):
                record, worker = self._make(record, stack)
            elif isinstance(todo, ResumeNode):
                machines.resume(self._session, record, self._layers[record.name])
            elif not isinstance(todo, ConfigureNode):
                machines.boot(self._session, record, self._layers[record.name])
            node = self._lab.node(record.name)
            provision_node(self._session, self._lab, node, self._rendered, first=not record.setup, worker=worker)
            if worker is not None and not self._to_be_saved:
                worker.do("end", timeout_s=self._session.deadline(machines.ANSWER_S))
        return record

    def _make(self, record: NodeRecord, stack: ExitStack) -> tuple[NodeRecord, Worker | None]:
        """A new machine: a clone where there is a warm image, with who works in it, else, or if that does not start, a booted one."""
        layer = self._layers[record.name]
        self._session.hypervisor.stop(record.name)
        Journal(self._session.record.directory).write("begin disk", node=record.name)
        if (saved := self._warm.get(record.name)) is not None:
            try:
                return start_clone(self._session, record, layer, saved, stack, to_be_saved=self._to_be_saved)
            except (StepError, NoRoom) as failed:
                self._report(Event("warning", f"the clone does not start ({failed.what}: {failed.why}); it is booted instead", record.name))
                self._session.hypervisor.stop(record.name)
                ram_of(self._session, record.name).unlink(missing_ok=True)  # whoever has one is taken for a machine that can be saved
        machines.make_disk(self._session.record, record, layer)
        machines.boot(self._session, record, layer)
        return record, None


def wait_until_ready(session: Session, lab: Lab, report: Reporter) -> None:
    """Wait for the lab's own `ready:`, on top of what each role calls ready."""
    if not lab.ready:
        return
    from labctl.engine.running import RunningLab
    from labctl.engine.verify import wait_ready

    with step(report, "the lab's own readiness"):
        wait_ready(RunningLab(session, lab), report)

"""`up`: from a lab to an instance of it that is ready, or the difference between the lab and the instance that runs.

Owns the order of steps and what runs at once. The plan is pure (`lab/plan`); each thing outside the namespaces is in the journal before
it is made; a failure leaves the instance as far as it came, and `up` again goes on from there.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace

from labctl.engine import nodes as machines
from labctl.engine.events import Event, Reporter, step
from labctl.engine.images import ensure_images, using_images
from labctl.engine.instances import (
    BRING_UP,
    InstanceRecord,
    NodeRecord,
    boot_id,
    check_name,
    forget_run,
    instance_lock,
    make_directory,
    now,
    read_record,
    taken_down,
    write_record,
)
from labctl.engine.journal import Journal
from labctl.engine.keys import make_keys, write_ssh_files
from labctl.engine.links import cable_at, plug
from labctl.engine.power import finish_halts
from labctl.engine.room import check_places, naming_room, refuse_without_room
from labctl.engine.saved_cache import limit_bytes, trim, using_saved
from labctl.engine.session import Session, disk_of, open_session, start_libvirtd
from labctl.engine.start import Way, start_lab
from labctl.engine.strays import remove_strays
from labctl.engine.uplink import open_uplink
from labctl.errors import UsageError
from labctl.host import wires
from labctl.host.accelerator import prove_accelerator
from labctl.host.domain_xml import load_templates
from labctl.host.hypervisor import DomainFacts, DomainState
from labctl.host.images import LayerFiles
from labctl.host.namespace import FirstProcess, kill_namespace, short_place, start_namespace
from labctl.host.places import cache_directory, instances_directory, state_directory
from labctl.host.room import filesystem_type, need_room, untested_filesystem
from labctl.lab.data import TEMPLATES
from labctl.lab.plan import (
    DISK_PER_NODE_MIB,
    DISK_WAS_FULL,
    InstanceFacts,
    MakeCable,
    MakeNode,
    NodeFacts,
    Plan,
    RemoveCable,
    RemoveNode,
    ResumeNode,
    plan_up,
)
from labctl.lab.topology import Lab

CHANGED = "changed by hand"  # in the place of a fingerprint: fits no node of a lab file


@dataclass(frozen=True)
class UpOptions:
    """What the person allowed: `replace` lets a node's disk be made anew, `allow_uplink` lets nodes reach the internet.

    `start` is the quickest way of starting machines that may be taken; `fresh` makes the lab's checkpoint anew. `existing`: an instance
    that is there is brought over, none is made.
    """

    allow_uplink: bool = False
    replace: bool = False
    start: Way = Way.CHECKPOINT
    fresh: bool = False
    existing: bool = False


@dataclass(frozen=True)
class UpResult:
    """The instance, and what was done; an empty plan means that nothing had to be."""

    record: InstanceRecord
    plan: Plan


def up(lab: Lab, *, instance: str | None, options: UpOptions, report: Reporter) -> UpResult:
    """Bring `lab` up, or carry out what its file has changed since. `HostError` before anything starts if there is no room."""
    name = instance or lab.name
    check_name(name)
    allowed = limit_bytes()
    if not options.allow_uplink and (wanting := [node.name for node in lab.nodes if node.uplink]):
        raise UsageError(
            f"{', '.join(wanting)} would reach the internet", why="the lab asks for an uplink", hint="allow it: --allow-uplink"
        )
    check_places()
    _warn_of_network(report)
    with instance_lock(name, BRING_UP), naming_room(lab), ExitStack() as stack:
        known = _known(name, lab)
        if known is None and options.existing:
            raise taken_down(name, lab.name)
        if known is None or not known.alive:
            refuse_without_room(lab)
        stack.enter_context(using_images(f"bring up {name}"))
        layers = ensure_images(lab, report)
        _tidy(known, report)
        facts = observe_facts(known)
        plan = plan_up(lab, facts, {node: layer.digest for node, layer in layers.items()})
        if plan.losses and not options.replace:
            raise UsageError(
                f"this would lose the disk of {', '.join(loss.subject for loss in plan.losses)}",
                why="; ".join(loss.what for loss in plan.losses),
                hint="labctl up --replace, if that is meant",
            )
        if not plan.steps and known is not None and known.ready:
            current = brought_over(known, lab)
            if current != known:  # the lesson's text or checks changed, or the file's place; the machines did not
                write_record(current)
            return UpResult(current, plan)
        record, fitter = _prepare(known, name, lab, layers, report, stack)
        session = stack.enter_context(open_session(record))
        _prepare_nodes(session, lab, layers, plan, fitter, report)
        with using_saved(f"bring up {name}"):
            resumed = known is not None and known.alive and not known.ready
            start_lab(session, lab, layers, plan, options.start, report, fresh=options.fresh, resumed=resumed)
        trim(allowed)
        session.record = replace(brought_over(session.record, lab), ready=True, settings={}, impairments={})
        write_record(session.record)
        Journal(record.directory).write("ready")
        return UpResult(session.record, plan)


def brought_over(record: InstanceRecord, lab: Lab) -> InstanceRecord:
    """The record of an instance whose machines are as `lab` says: its other verbs read the lab where it lies now."""
    allowed = record.uplink_allowed or any(node.uplink for node in lab.nodes)  # or `up` would have refused it
    return replace(record, file=str(lab.file), digest=lab.digest, variant=lab.variant, uplink_allowed=allowed)


def lacks_uplink(record: InstanceRecord, lab: Lab) -> bool:
    """Whether a node wants the way to the internet, and it has not been opened since the instance started."""
    wanted = any(node.uplink for node in lab.nodes)
    return wanted and not Journal(record.directory).holds("done uplink", since="begin namespace")


def _tidy(known: InstanceRecord | None, report: Reporter) -> None:
    """What killed commands left in a running instance goes; one that was broken off between two times of the nodes is named."""
    if known is not None and known.alive:
        with open_session(known) as session:
            remove_strays(session)
            finish_halts(session)
    if known is not None and known.unfinished:
        again = f"labctl {known.unfinished} does it again, labctl reset puts all back"
        report(Event("warning", f"labctl {known.unfinished} was broken off, nodes may be of two times; {again}"))


def _warn_of_network(report: Reporter) -> None:
    for place in (state_directory(), cache_directory()):
        if name := untested_filesystem(filesystem_type(place)):
            report(Event("warning", f"{place} lies on {name}, with which labctl is untested: XDG_STATE_HOME, XDG_CACHE_HOME"))


def _known(name: str, lab: Lab) -> InstanceRecord | None:
    directory = instances_directory() / name
    if not (directory / "instance.json").exists():
        return None
    record = read_record(directory)
    if record.lab != lab.name:
        raise UsageError(f"instance '{name}' is of another lab, {record.lab}", hint="choose another name: --instance NAME")
    return record


def observe_facts(record: InstanceRecord | None) -> InstanceFacts:
    """What is there of an instance, asked of the host. Settings that `set` changed and cables that are cut are not as in the file."""
    if record is None:
        return InstanceFacts()
    domains: Mapping[str, DomainFacts] = {}
    if record.alive:
        with open_session(record) as session:
            domains = session.hypervisor.domains()
    states = {name: domain.state for name, domain in domains.items()}
    by_hand = {*record.settings, *(end.partition(":")[0] for end in record.impairments)}
    facts = {
        node.name: NodeFacts(
            running=states.get(node.name) is DomainState.RUNNING,
            layer=node.layer,
            hardware=node.hardware,
            setup=CHANGED if node.name in by_hand else node.setup,
            paused=states.get(node.name) is DomainState.PAUSED,
            stuck=node.name in domains and domains[node.name].stuck,
        )
        for node in record.nodes
        if disk_of(record, node.name).exists()
    }
    cables = frozenset(tuple(sorted(cable)) for cable in record.cables if not set(cable) & set(record.cut))
    return InstanceFacts(record.alive, facts, frozenset((a, b) for a, b in cables))


def _prepare(
    known: InstanceRecord | None, name: str, lab: Lab, layers: Mapping[str, LayerFiles], report: Reporter, stack: ExitStack
) -> tuple[InstanceRecord, wires.Fitter | None]:
    """The directory, the namespaces and libvirtd: there, or made now. With new ones comes who makes wires in them, until `stack` ends."""
    if known is not None and known.alive:
        return known, None
    layer = next(iter(layers.values()))
    accelerator = prove_accelerator(layer.kernel, layer.initrd, cache=cache_directory())
    directory = make_directory(name)
    forget_run(directory)
    journal = Journal(directory)
    journal.write("begin instance", directory=str(directory))
    short = short_place(state_directory(), cache_directory(), directory)
    record = InstanceRecord(
        id=name,
        lab=lab.name,
        file=str(lab.file),
        variant=lab.variant,
        digest=lab.digest,
        directory=directory,
        short=short,
        created=known.created if known else now(),
        accelerator=accelerator.kind,
        time_scale=accelerator.time_scale,
        boot_id=boot_id(),
        nodes=known.nodes if known else (),
        cables=(),
        uplink_allowed=any(node.uplink for node in lab.nodes),
        unfinished=known.unfinished if known else "",
    )
    write_record(record)
    with step(report, "namespaces and hypervisor"):
        with journal.intent("namespace"):
            started = [record]

            def remember(first: FirstProcess) -> None:
                started.append(replace(record, first_pid=first.pid, first_started=first.started))
                write_record(started[-1])

            first = start_namespace(directory, short, remember)
        try:
            fitter = stack.enter_context(wires.open_fitter(first))  # it gets ready while libvirtd does
            start_libvirtd(started[-1])
        except BaseException:
            kill_namespace(first)
            raise
    return started[-1], fitter


def _prepare_nodes(
    session: Session, lab: Lab, layers: Mapping[str, LayerFiles], plan: Plan, fitter: wires.Fitter | None, report: Reporter
) -> None:  # fmt: skip
    _need_room_to_resume(session.record, lab, plan)
    fresh = not Journal(session.record.directory).holds("done wires", since="begin namespace")
    made = {step.subject for step in plan.of(MakeNode)}
    _remove_nodes(session, plan)
    _record_nodes(session, lab, layers, made)
    make_keys(session.record.directory, tuple(node.name for node in lab.nodes))
    write_ssh_files(session.record)
    if fitter is not None:  # who is not ready yet
        load_templates(TEMPLATES)
    _wire(session, lab, plan, fresh, fitter, report)


def _need_room_to_resume(record: InstanceRecord, lab: Lab, plan: Plan) -> None:
    """`NoRoom` if the disk is still full that nodes stand still for: they would stand still again at once."""
    stuck = [step.subject for step in plan.of(ResumeNode) if step.why == DISK_WAS_FULL]
    if stuck:
        need_room(record.directory, DISK_PER_NODE_MIB * len(stuck), f"what {', '.join(stuck)} of {lab.name} writes")


def _remove_nodes(session: Session, plan: Plan) -> None:
    for gone in plan.of(RemoveNode):
        session.hypervisor.stop(gone.subject)
        node = session.record.node(gone.subject)
        wires.carry_out(session.record.first, [wires.remove_tap(tap) for tap in machines.taps_of(node)])
        disk_of(session.record, gone.subject).unlink(missing_ok=True)
        rest = tuple(other for other in session.record.nodes if other.name != gone.subject)
        cables = tuple(cable for cable in session.record.cables if not any(end.startswith(f"{gone.subject}:") for end in cable))
        session.record = replace(session.record, nodes=rest, cables=cables)
        write_record(session.record)


def _record_nodes(session: Session, lab: Lab, layers: Mapping[str, LayerFiles], made: set[str]) -> None:
    """The record names every node before its machine or disk exists; fingerprints of known nodes stay until they are brought over."""
    known = {node.name: node for node in session.record.nodes}
    listed: list[NodeRecord] = []
    for node in lab.nodes:
        fresh = machines.node_record(lab, node, layers[node.name], session.record.id)
        old = known.get(node.name)
        new = old is None or node.name in made
        listed.append(replace(fresh, setup="") if new or old is None else _keeping(fresh, old))
    session.record = replace(session.record, nodes=tuple(listed), ready=False)
    write_record(session.record)


def _keeping(fresh: NodeRecord, old: NodeRecord) -> NodeRecord:
    return replace(fresh, layer=old.layer, chain=old.chain, setup=old.setup, halted=old.halted)


def _wire(session: Session, lab: Lab, plan: Plan, fresh: bool, fitter: wires.Fitter | None, report: Reporter) -> None:
    record = session.record
    with step(report, f"wires ({len(lab.links)} cables)"):
        journal = Journal(record.directory)
        journal.write("begin wires")
        requests = [wires.make_management()] if fresh else []
        if lacks_uplink(record, lab):
            with journal.intent("uplink"):
                open_uplink(record)
        if any(node.uplink for node in lab.nodes):
            requests.append(wires.make_uplink_bridge(wires.UPLINK_TAP))
        for node in record.nodes:
            requests += machines.wire_requests(node)
        wanted = tuple((str(link.a), str(link.b)) for link in lab.links)
        removed = [end for gone in plan.of(RemoveCable) for end in gone.subject.split(" -- ")]
        added = [added.subject.split(" -- ") for added in plan.of(MakeCable)]
        still = [end for end in removed if cable_at(record, end) is not None] if not fresh else []
        plug(session, unplug=tuple(still), cables=wanted, new=tuple((a, b) for a, b in added), first=requests, fitter=fitter)
        journal.write("done wires")

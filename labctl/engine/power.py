"""Nodes off and on: in order (`halt`), as a power cut, and back with the disk they have."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from labctl.engine import nodes as machines
from labctl.engine.events import Event, Reporter, step
from labctl.engine.instances import InstanceRecord, held_instance, write_record
from labctl.engine.parallel import workers
from labctl.engine.provision import wait_until_role_works
from labctl.engine.session import Session, open_session
from labctl.errors import StepError, TimedOut
from labctl.lab.topology import Lab

if TYPE_CHECKING:
    from labctl.host.images import LayerFiles


def halt(record: InstanceRecord, nodes: Sequence[str], report: Reporter) -> InstanceRecord:
    """Shut `nodes` down in order; their disks stay. Nothing for one that is off."""
    with held_instance(record, "halt nodes of") as held, open_session(held) as session:
        for name in nodes:
            mark(session, name, halted=True)  # before it is: whoever is killed here leaves a machine that is going down
            with step(report, f"halt {name}", name):
                if name in session.hypervisor.domains():
                    machines.halt(session, session.record.node(name))
        return session.record


def finish_halts(session: Session) -> None:
    """See machines off whose `halt` was broken off: one that is going down still runs when it is looked at."""
    for node in session.record.nodes:
        if node.halted and node.name in session.hypervisor.domains():
            machines.halt(session, node)


def start(session: Session, lab: Lab, nodes: Sequence[str], layers: "Mapping[str, LayerFiles]", report: Reporter) -> None:
    """Start `nodes` again on the disks they have, as many at once as there are cores. Nothing for one that runs."""

    finish_halts(session)

    def one(name: str) -> None:
        with step(report, f"start {name}", name):
            boot(session, lab, name, layers[name], report)

    off = [name for name in nodes if name not in session.hypervisor.domains()]
    with workers() as pool:
        started = [pool.submit(one, name) for name in off]
    for name, future in zip(off, started, strict=True):
        if future.exception() is None:
            mark(session, name, halted=False)
    for future in started:
        future.result()


def power_off(session: Session, name: str) -> None:
    """Pull the plug."""
    session.hypervisor.stop(name)
    mark(session, name, halted=True)


def power_on(session: Session, lab: Lab, name: str, layer: "LayerFiles", report: Reporter) -> None:
    """Boot the node on its disk and wait until its role works again; nothing if it runs."""
    if name not in session.hypervisor.domains():
        boot(session, lab, name, layer, report)
    mark(session, name, halted=False)


def boot(session: Session, lab: Lab, name: str, layer: "LayerFiles", report: Reporter) -> None:
    """Boot the node and wait for its role. A role that does not get ready is told and no more: somebody may have broken it on purpose."""
    machines.boot(session, session.record.node(name), layer)
    try:
        wait_until_role_works(session, lab, name)
    except (StepError, TimedOut) as late:
        report(Event("warning", f"{name} has booted, and its role is not ready ({late.what}: {late.why})", name))


def mark(session: Session, name: str, *, halted: bool) -> None:
    session.record = session.record.with_node(replace(session.record.node(name), halted=halted))
    write_record(session.record)

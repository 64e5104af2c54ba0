"""Nodes off and on: in order (`halt`), as a power cut, and back with the disk they have."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from labctl.engine import nodes as machines
from labctl.engine.events import Reporter, step
from labctl.engine.instances import InstanceRecord, held_instance, write_record
from labctl.engine.session import Session, open_session

if TYPE_CHECKING:
    from labctl.host.images import LayerFiles


def halt(record: InstanceRecord, nodes: Sequence[str], report: Reporter) -> InstanceRecord:
    """Shut `nodes` down in order; their disks stay. Nothing for one that is off."""
    with held_instance(record, "halt nodes of") as held, open_session(held) as session:
        for name in nodes:
            node = session.record.node(name)
            with step(report, f"halt {name}", name):
                if name in session.hypervisor.domains():
                    machines.halt(session, node)
            mark(session, name, halted=True)
        return session.record


def start(record: InstanceRecord, nodes: Sequence[str], layers: "Mapping[str, LayerFiles]", report: Reporter) -> InstanceRecord:
    """Start `nodes` again on the disks they have. Nothing for one that runs."""
    with held_instance(record, "start nodes of") as held, open_session(held) as session:
        for name in nodes:
            with step(report, f"start {name}", name):
                power_on(session, name, layers[name])
        return session.record


def power_off(session: Session, name: str) -> None:
    """Pull the plug."""
    session.hypervisor.stop(name)
    mark(session, name, halted=True)


def power_on(session: Session, name: str, layer: "LayerFiles") -> None:
    """Boot the node on its disk and wait until its role works again; nothing if it runs."""
    if name not in session.hypervisor.domains():
        machines.boot(session, session.record.node(name), layer)
    mark(session, name, halted=False)


def mark(session: Session, name: str, *, halted: bool) -> None:
    session.record = session.record.with_node(replace(session.record.node(name), halted=halted))
    write_record(session.record)

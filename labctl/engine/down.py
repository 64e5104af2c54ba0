"""`down`: an instance, or some of its nodes, away. Needs no libvirt: one SIGKILL of the first process ends everything inside.

Owns the order: processes, then files, the record last. Goes on past a failure and names what could not be removed.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import replace

from labctl.engine.events import Reporter, step
from labctl.engine.instances import InstanceRecord, held_instance, instance_lock, read_record, remove_directory, write_record
from labctl.engine.journal import Journal
from labctl.engine.links import plug
from labctl.engine.nodes import taps_of
from labctl.engine.session import disk_of, open_session
from labctl.errors import RemoveError, StepError
from labctl.host import wires
from labctl.host.namespace import kill_namespace


def down(record: InstanceRecord, report: Reporter, *, only_dead: bool = False) -> bool:
    """End the instance and take its files away; False if another labctl did so first. `RemoveError` names what is left."""
    with instance_lock(record.id, "take down"), step(report, f"{record.id} down"):
        if not record.directory.exists():
            return False
        with contextlib.suppress(StepError):  # a damaged one: then what was known of it must do
            record = read_record(record.directory)
        if only_dead and record.alive:  # somebody brought it up again meanwhile
            return False
        with contextlib.suppress(OSError):
            Journal(record.directory).write("begin down")
        kill(record)
        try:
            remove_directory(record.directory)
        except OSError as left:
            raise RemoveError(
                f"{record.id}: files are left", why=str(left), hint=f"look at {record.directory}, then labctl down again"
            ) from left
        return True


def kill(record: InstanceRecord) -> None:
    """End every process of the instance; nothing if none runs."""
    if record.alive:
        kill_namespace(record.first)


def down_nodes(record: InstanceRecord, nodes: Sequence[str], report: Reporter) -> InstanceRecord:
    """Switch `nodes` off and take their disks away; the rest of the lab stays, with the cables to them unplugged."""
    with held_instance(record, "take nodes down of") as held, open_session(held) as session:
        for name in nodes:
            node = session.record.node(name)
            with step(report, f"{name} down", name):
                session.hypervisor.stop(name)
                ends = tuple(f"{name}:{port.name}" for port in node.ports)
                kept = tuple(cable for cable in session.record.cables if not set(cable) & set(ends))
                far = tuple(end for cable in session.record.cables if set(cable) & set(ends) for end in cable)
                plug(session, unplug=far, cables=kept, new=())
                wires.carry_out(session.record.first, [wires.remove_tap(tap) for tap in taps_of(node)])
                disk_of(session.record, name).unlink(missing_ok=True)
                session.record = replace(session.record, nodes=tuple(other for other in session.record.nodes if other.name != name))
                write_record(session.record)
        return session.record

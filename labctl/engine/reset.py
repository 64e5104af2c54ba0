"""`reset`: nodes, or the whole lab, as they were when the lab was ready: new disks, the lab's own settings and cables.

Owns the two ways there: from the checkpoint that was saved when the lab was ready, else off, a new overlay, boot, provision.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.engine import nodes as machines
from labctl.engine.checkpoints import start_from
from labctl.engine.events import Event, Reporter, step
from labctl.engine.impairing import without_nodes
from labctl.engine.instances import write_record
from labctl.engine.links import plug
from labctl.engine.parallel import workers
from labctl.engine.provision import Rendered, provision_node, render
from labctl.engine.session import Session
from labctl.errors import StepError
from labctl.lab.topology import Lab

if TYPE_CHECKING:
    from labctl.host.images import LayerFiles


def reset(session: Session, lab: Lab, layers: "Mapping[str, LayerFiles]", nodes: Sequence[str], report: Reporter) -> None:
    """Put `nodes` back; none named means all of them and every cable."""
    chosen = tuple(nodes) or tuple(node.name for node in lab.nodes)
    for name in chosen:
        session.record.node(name)
        lab.node(name)
    if not nodes:
        put_cables_back(session, lab)
    place = Path(session.record.checkpoint) if session.record.checkpoint else None
    if place is None or not (place / "whole").exists() or not _from_checkpoint(session, place, lab, layers, chosen, report):
        _boot_again(session, lab, layers, chosen, report)
    settings = {name: changed for name, changed in session.record.settings.items() if name not in chosen}
    broken = {} if not nodes else session.record.broken
    listed = tuple(replace(node, halted=False) if node.name in chosen else node for node in session.record.nodes)
    session.record = without_nodes(replace(session.record, settings=settings, broken=broken, nodes=listed), chosen)
    write_record(session.record)


def _from_checkpoint(
    session: Session, place: Path, lab: Lab, layers: "Mapping[str, LayerFiles]", names: Sequence[str], report: Reporter
) -> bool:  # fmt: skip
    """Whether the nodes started from the checkpoint; if not, that is said, and they are off."""
    try:
        start_from(session, place, lab, layers, names, report)
    except (StepError, OSError) as failed:
        report(Event("warning", f"the lab's checkpoint does not start ({failed}); its machines are made anew"))
        return False
    return True


def _boot_again(session: Session, lab: Lab, layers: "Mapping[str, LayerFiles]", names: Sequence[str], report: Reporter) -> None:
    rendered = render(lab, names)
    with workers() as pool:
        for done in [pool.submit(_reset_node, session, lab, layers[name], name, rendered, report) for name in names]:
            done.result()


def _reset_node(session: Session, lab: Lab, layer: "LayerFiles", name: str, rendered: Rendered, report: Reporter) -> None:
    node = session.record.node(name)
    with step(report, f"reset {name}", name):
        session.hypervisor.stop(name)
        machines.make_disk(session.record, node, layer)
        machines.boot(session, node, layer)
        provision_node(session, lab, lab.node(name), rendered, first=True)


def put_cables_back(session: Session, lab: Lab) -> None:
    """The wiring of the lab file, none of it cut."""
    wanted = tuple((str(link.a), str(link.b)) for link in lab.links)
    record = session.record
    if record.cut:
        cut = record.cut
        session.record = replace(record, cut=())
        write_record(session.record)
        plug(session, unplug=(), cables=record.cables, new=tuple(cable for cable in record.cables if set(cable) & set(cut)))
    moved = [end for cable in record.cables if cable not in wanted for end in cable]
    missing = tuple(cable for cable in wanted if cable not in record.cables)
    if moved or missing:
        plug(session, unplug=tuple(moved), cables=wanted, new=missing)

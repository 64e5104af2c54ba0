"""Impairments of a running instance's links: set, cleared, listed, by the nodes at both ends.

Owns what the record says of them: `impairments` holds, by interface, what was set by hand, whole; what the lab file says stands at each
port. Each end impairs what it sends; both are told at the same time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from labctl.engine.instances import InstanceRecord, write_record
from labctl.engine.links import cable_at, port_at
from labctl.engine.parallel import at_once
from labctl.engine.session import Session
from labctl.errors import StepError, UsageError
from labctl.guest.impairing import IMPAIR_S, render_impairing
from labctl.lab.impaired import impaired, impaired_more
from labctl.lab.impairments import Impairment, ImpairmentKeys
from labctl.lab.topology import End, Lab


def impair(session: Session, lab: Lab, end: str, changes: ImpairmentKeys, *, one_way: bool) -> Lab:
    """Change what the link at `end` does to frames, in both directions or one; the lab as it is then."""
    changed = lab
    ends = ends_at(session.record, end)[: 1 if one_way else 2]
    for name in ends:
        changed = impaired_more(changed, lab.end(name), changes)
    return _bring(session, changed, ends)


def clear(session: Session, as_written: Lab, lab: Lab, end: str) -> Lab:
    """Make the link at `end` what the lab file says; the lab as it is then."""
    changed = lab
    ends = ends_at(session.record, end)
    for name in ends:
        node, port = as_written.end(name).node, as_written.end(name).interface
        changed = impaired(changed, End(node, port), as_written.node(node).interface(port).impairment)
    return _bring(session, changed, ends)


def ends_at(record: InstanceRecord, end: str) -> tuple[str, str]:
    """The interface and the one at the other end of its cable. `UsageError` if no cable is in."""
    cable = cable_at(record, end)
    if cable is None:
        raise UsageError(f"no cable is in {end}", hint="labctl link show")
    return (end, cable[1] if cable[0] == end else cable[0])


def with_impairments(lab: Lab, changes: Mapping[str, Mapping[str, Any]]) -> Lab:
    """`lab` as the record says that it was changed by hand."""
    for end, words in changes.items():
        lab = impaired(lab, lab.end(end), Impairment(**words))
    return lab


def without_nodes(record: InstanceRecord, nodes: Sequence[str]) -> InstanceRecord:
    """The record once these nodes are as the lab file says."""
    kept = {end: words for end, words in record.impairments.items() if end.partition(":")[0] not in nodes}
    return replace(record, impairments=kept)


def _bring(session: Session, lab: Lab, ends: Sequence[str]) -> Lab:
    running = session.hypervisor.domains()
    for end in ends:
        if (node := end.partition(":")[0]) not in running:
            raise UsageError(f"{node} is off", why=f"it is the node itself that impairs what leaves {end}", hint=f"labctl start {node}")
    at_once({end: partial(_apply, session, lab, end.partition(":")[0]) for end in ends})
    record, known = session.record, dict(session.record.impairments)
    for end in ends:
        now = lab.node(lab.end(end).node).interface(lab.end(end).interface).impairment.words()
        known.pop(end, None)
        if now != port_at(record, end).impairment:
            known[end] = now
    session.record = replace(record, impairments=known)
    write_record(session.record)
    return lab


def _apply(session: Session, lab: Lab, node: str) -> None:
    done = session.agent(node).run(render_impairing(lab.node(node)), timeout_s=session.deadline(IMPAIR_S))
    if done.status != 0:
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        raise StepError(f"{node}: its links cannot be impaired so", why=said[-500:] or f"status {done.status}", hint=f"labctl ssh {node}")

"""Cables of a running instance: cut, put back, moved, listed.

Owns what the record says of the wiring. A cut takes the carrier from both ends, as a pulled cable does; a move plugs one end into
another interface, and the old place is left without a carrier.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from labctl.engine.instances import InstanceRecord, PortRecord, write_record
from labctl.engine.session import Session
from labctl.errors import UsageError
from labctl.host import wires
from labctl.host.domain_xml import FIRST_NIC_SLOT, Nic
from labctl.lab.uplink import UPLINK


@dataclass(frozen=True)
class Cable:
    """A cable as it is: its two ends, whether it is pulled, and what befalls frames in each direction, as it was typed."""

    a: str
    b: str
    cut: bool
    a_to_b: Mapping[str, Any] = field(default_factory=dict)
    b_to_a: Mapping[str, Any] = field(default_factory=dict)


def show_links(record: InstanceRecord) -> tuple[Cable, ...]:
    """All cables, in the order in which they were plugged in."""
    return tuple(
        Cable(a, b, a in record.cut or b in record.cut, impairment_at(record, a), impairment_at(record, b)) for a, b in record.cables
    )


def impairment_at(record: InstanceRecord, end: str) -> Mapping[str, Any]:
    """What befalls frames that leave `end`, as it was typed: by hand, else in the lab file."""
    return record.impairments[end] if end in record.impairments else port_at(record, end).impairment


def port_at(record: InstanceRecord, end: str) -> PortRecord:
    """The NIC named `node:interface`; `UsageError` says which there are."""
    node, _, name = end.partition(":")
    found = record.node(node)
    for port in found.ports:
        if port.name == name:
            return port
    raise UsageError(f"no interface '{name}' on {node}", hint=f"its interfaces: {', '.join(port.name for port in found.ports)}")


def cable_at(record: InstanceRecord, end: str) -> tuple[str, str] | None:
    port_at(record, end)
    return next((cable for cable in record.cables if end in cable), None)


def carrier(record: InstanceRecord, end: str) -> bool:
    """Whether there should be a carrier at `end`: a cable is in and not cut. An uplink has no cable of the lab's."""
    return end.endswith(f":{UPLINK}") or any(end in cable and not (set(cable) & set(record.cut)) for cable in record.cables)


def nic_at(record: InstanceRecord, end: str) -> Nic:
    port = port_at(record, end)
    number = record.node(end.partition(":")[0]).ports.index(port)
    return Nic(port.tap, port.mac, FIRST_NIC_SLOT + number, carrier(record, end))


def cut(session: Session, end: str) -> None:
    """Pull the cable at `end`."""
    _set_cut(session, end, pulled=True)


def restore(session: Session, end: str) -> None:
    """Put the cable at `end` back."""
    _set_cut(session, end, pulled=False)


def _set_cut(session: Session, end: str, *, pulled: bool) -> None:
    cable = cable_at(session.record, end)
    if cable is None:
        raise UsageError(f"no cable is in {end}", hint="labctl link show")
    rest = tuple(name for name in session.record.cut if name not in cable)
    session.record = replace(session.record, cut=(*rest, cable[0]) if pulled else rest)
    write_record(session.record)
    show_carrier(session, cable)


def move(session: Session, end: str, to: str) -> None:
    """Take the far end of the cable at `end` out and plug it in at `to`: the host at `end` moves port."""
    record = session.record
    cable = cable_at(record, end)
    if cable is None:
        raise UsageError(f"no cable is in {end}", hint="labctl link show")
    if cable_at(record, to) is not None:
        raise UsageError(f"{to} has a cable already", hint="labctl link show")
    far = cable[1] if cable[0] == end else cable[0]
    plug(session, unplug=(far,), cables=(*(other for other in record.cables if other != cable), (end, to)), new=((end, to),))


def plug(
    session: Session,
    *,
    unplug: tuple[str, ...],
    cables: tuple[tuple[str, str], ...],
    new: tuple[tuple[str, str], ...],
    first: Sequence[wires.Request] = (),
    fitter: wires.Fitter | None = None,
) -> None:
    """Make the wiring `cables`, in one call: `first`, then ends in `unplug` lose their cable and cables in `new` are made.

    `fitter`: who does it, if one was started before.
    """
    record = session.record
    requests = [*first]
    requests += [wires.disconnect(port_at(record, end).tap) for end in unplug]
    requests += [wires.connect(port_at(record, a).tap, port_at(record, b).tap) for a, b in new]
    if fitter is not None:
        fitter.carry_out(requests)
    else:
        wires.carry_out(record.first, requests)
    touched = {*unplug, *(end for cable in new for end in cable)}
    ends = {end for cable in cables for end in cable}
    session.record = replace(record, cables=cables, cut=tuple(end for end in record.cut if end in ends - touched))
    write_record(session.record)
    show_carrier(session, sorted(touched))


def show_carrier(session: Session, ends: Sequence[str]) -> None:
    """Let the machines at `ends` see whether their cables are in; nothing where one is off."""
    running = session.hypervisor.domains()
    for end in ends:
        node = end.partition(":")[0]
        if node in running:
            session.hypervisor.set_carrier(node, nic_at(session.record, end))

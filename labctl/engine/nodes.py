"""One node's machine: its disk, its domain, its first set-up, its end.

Owns the way from a Node of the lab to a running machine that its role calls ready, by cold boot. Warm starts will be other ways to the
same place. Every deadline is made for KVM and grows with the accelerator.
"""

import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.engine.instances import InstanceRecord, NodeRecord, PortRecord
from labctl.engine.links import nic_at
from labctl.engine.session import Session, disk_of, make_overlay
from labctl.engine.waiting import wait_until
from labctl.errors import AgentError, TimedOut
from labctl.host import wires
from labctl.host.domain_xml import MANAGEMENT_SLOT, DomainSpec, Nic, Ram, worker_socket
from labctl.host.image_store import chain_of
from labctl.lab.plan import hardware_of, setup_of
from labctl.lab.topology import Lab, Node
from labctl.lab.uplink import UPLINK

if TYPE_CHECKING:
    from labctl.host.images import LayerFiles

BOOT_S = 40.0
HALT_S = 20.0
ANSWER_S = 15.0
MANAGEMENT_MAC = "52:54:ff:00:{high:02x}:{low:02x}"
FIRST_HOST = 256  # 169.254.1.0: the management address of node 0 is 169.254.1.0 + its index


def management_address(index: int) -> str:
    host = FIRST_HOST + index
    return f"169.254.{host >> 8}.{host & 255}"


def management_mac(index: int) -> str:
    host = FIRST_HOST + index
    return MANAGEMENT_MAC.format(high=host >> 8, low=host & 255)


def node_record(lab: Lab, node: Node, layer: "LayerFiles", instance: str) -> NodeRecord:
    """The record of a node that is about to be made."""
    ports = tuple(
        PortRecord(
            port.name,
            wires.tap_name(node.index, number),
            port.mac or "",
            tuple(str(a) for a in port.addresses),
            port.impairment.words(),
        )
        for number, port in enumerate(node.nics)
    )
    return NodeRecord(
        name=node.name,
        index=node.index,
        role=node.role.name,
        memory_mib=node.memory_mib,
        cpus=node.cpus,
        uuid=str(uuid.uuid5(uuid.NAMESPACE_URL, f"labctl:{instance}:{node.name}")),
        management_address=management_address(node.index),
        ports=ports,
        layer=layer.digest,
        chain=tuple(str(disk) for disk in layer.disks),
        hardware=hardware_of(node),
        setup=setup_of(lab, node),
    )


def wire_requests(node: NodeRecord) -> list[wires.Request]:
    """Make the taps of a node, the management one included."""
    taps = [wires.make_tap(port.tap) for port in node.ports]
    management = wires.management_tap(node.index)
    uplinks = [wires.join_uplink(port.tap) for port in node.ports if port.name == UPLINK]
    return [*taps, wires.make_tap(management), wires.join_management(management), *uplinks]


def taps_of(node: NodeRecord) -> tuple[str, ...]:
    return (*(port.tap for port in node.ports), wires.management_tap(node.index))


def management_nic(index: int) -> Nic:
    return Nic(wires.management_tap(index), management_mac(index), MANAGEMENT_SLOT)


def domain_spec(
    record: InstanceRecord,
    node: NodeRecord,
    layer: "LayerFiles",
    *,
    ram: Ram | None = None,
    cabled: bool = True,
) -> DomainSpec:
    """The node's machine, as the hypervisor is told to start it. Not `cabled`: with the management NIC only."""
    nics = [nic_at(record, f"{node.name}:{port.name}") for port in node.ports] if cabled else []
    short = Path(record.short)
    return DomainSpec(
        name=node.name,
        uuid=node.uuid,
        accelerator=record.accelerator,
        memory_mib=node.memory_mib,
        cpus=node.cpus,
        kernel=layer.kernel,
        initrd=layer.initrd,
        cmdline=layer.cmdline,
        xen=layer.xen,
        disk=disk_of(record, node.name),
        disk_chain=chain_of(disk_of(record, node.name)),
        nics=(management_nic(node.index), *nics),
        console=short / "run" / f"console-{node.name}",
        worker=short / "run" / worker_socket(node.name),
        serial_log=short / "log" / f"serial-{node.name}.log",
        ram=ram,
    )


def boot(session: Session, node: NodeRecord, layer: "LayerFiles") -> None:
    """Start the node's machine on the disk it has and wait until its agent answers."""
    session.hypervisor.stop(node.name)  # one that was never let run may be there
    session.hypervisor.start(domain_spec(session.record, node, layer))
    session.agent(node.name).wait_until_up(session.deadline(BOOT_S))


def make_disk(record: InstanceRecord, node: NodeRecord, layer: "LayerFiles") -> None:
    make_overlay(layer.disks[0], disk_of(record, node.name))


def resume(session: Session, node: NodeRecord, layer: "LayerFiles") -> None:
    """Let a machine that stands still run on, with the time that it is now; boot it from its disk if it never got its state."""
    if session.hypervisor.waits_for_state(node.name):
        return boot(session, node, layer)
    session.hypervisor.resume(node.name)
    session.agent(node.name).wait_until_up(session.deadline(ANSWER_S))
    session.agent(node.name).set_time(time.time_ns())


def halt(session: Session, node: NodeRecord) -> None:
    """Shut the node down in order; after the deadline its plug is pulled. By its agent: no logind listens to a power button there."""
    with suppress(AgentError, TimedOut):
        session.agent(node.name).run(("systemctl", "poweroff", "--no-block"), timeout_s=session.deadline(HALT_S))
        wait_until(f"{node.name} is off", lambda: node.name not in session.hypervisor.domains(), timeout_s=session.deadline(HALT_S))
    session.hypervisor.stop(node.name)

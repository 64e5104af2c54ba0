"""What must be done so that a lab runs: steps as data, computed from the lab and from what is there. Pure.

Owns the steps of `up`, their order, the fingerprints by which a changed node is recognised, and the estimate of room and time.
Carrying steps out is the engine's; so is finding out what is there.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from labctl.lab.topology import Lab, Link, Node

QEMU_OVERHEAD_MIB = (
    90  # of a running node beyond its guest's memory: a reserve (64 of it the emulator's translation cache), not a measurement
)
DISK_PER_NODE_MIB = 80  # a reserve for what a node's overlay grows to in a lesson
DISK_WAS_FULL = "it stands still: the disk was full"


@dataclass(frozen=True)
class Step:
    """One step of a plan. `what` is for people; `loses` says that a node's disk goes."""

    verb: str
    subject: str
    why: str = ""
    loses_disk: bool = False

    @property
    def what(self) -> str:
        return f"{self.verb} {self.subject}" + (f" ({self.why})" if self.why else "")


class StartInstance(Step):
    pass


class MakeNode(Step):
    """A node that is not there yet, or whose disk must be made again."""


class RemoveNode(Step):
    pass


class BootNode(Step):
    """A node that is switched off and keeps its disk."""


class ResumeNode(Step):
    """A node that stands still: a save that was broken off, or no room left on the disk it lies on."""


class RestartNode(Step):
    """A running node whose hardware changed: off and on, the disk stays."""


class ConfigureNode(Step):
    """A running node whose files changed."""


class MakeCable(Step):
    pass


class RemoveCable(Step):
    pass


@dataclass(frozen=True)
class NodeFacts:
    """A node of the instance as it is: fingerprints of the record (no `setup` before it was set up once), and whether its machine runs."""

    running: bool
    layer: str
    hardware: str
    setup: str
    paused: bool = False
    stuck: bool = False  # paused, because what it wrote found no room


@dataclass(frozen=True)
class InstanceFacts:
    """What is there. An instance that does not exist is `InstanceFacts()`."""

    alive: bool = False
    nodes: Mapping[str, NodeFacts] = field(default_factory=dict)
    cables: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class Plan:
    steps: tuple[Step, ...]

    @property
    def losses(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.loses_disk)

    def of(self, *kinds: type[Step]) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if isinstance(step, kinds))


def cable_of(link: Link) -> tuple[str, str]:
    """A link as the pair of its ends' names, in one order."""
    a, b = sorted((str(link.a), str(link.b)))
    return a, b


def plan_up(lab: Lab, facts: InstanceFacts, layers: Mapping[str, str]) -> Plan:
    """Steps from `facts` to `lab` running. `layers`: node → digest of its image layer. Nothing to do gives no steps."""
    wanted = {cable_of(link) for link in lab.links}
    present = facts.cables if facts.alive else frozenset()
    steps: list[Step] = [] if facts.alive else [StartInstance("start", "namespaces and hypervisor")]
    gone = [name for name in facts.nodes if name not in {node.name for node in lab.nodes}]
    steps += [RemoveNode("remove", name, "not in the lab file any more", loses_disk=True) for name in gone]
    steps += [RemoveCable("unplug", f"{a} -- {b}") for a, b in sorted(present - wanted)]
    node_steps = [step for node in lab.nodes for step in _plan_node(lab, node, facts, layers[node.name])]
    steps += [MakeCable("plug in", f"{a} -- {b}") for a, b in sorted(wanted - present)]
    return Plan((*steps, *node_steps))


def _plan_node(lab: Lab, node: Node, facts: InstanceFacts, layer: str) -> tuple[Step, ...]:
    known = facts.nodes.get(node.name)
    if known is None:
        return (MakeNode("make", node.name, node.role.name),)
    if known.layer != layer:
        return (MakeNode("replace", node.name, "its image changed", loses_disk=True),)
    if known.paused and not known.setup:
        return (MakeNode("make", node.name, "it was left half made"),)
    if known.paused:
        return (ResumeNode("resume", node.name, DISK_WAS_FULL if known.stuck else "it stands still"),)
    if not known.running:
        return (BootNode("start", node.name, "it is off"),)
    if known.hardware != hardware_of(node):
        return (RestartNode("restart", node.name, "its hardware changed"),)
    if known.setup != setup_of(lab, node):
        return (ConfigureNode("configure", node.name, "its settings changed"),)
    return ()


def hardware_of(node: Node) -> str:
    """Fingerprint of what cannot change while a node runs: memory, CPUs, NICs."""
    return _fingerprint([node.memory_mib, node.cpus, [[port.name, port.mac] for port in node.nics], node.uplink])


def setup_of(lab: Lab, node: Node) -> str:
    """Fingerprint of all that provisioning writes into a node: its own settings and every node's name and address."""
    ports = [
        [
            port.name,
            [str(address) for address in port.addresses],
            dict(port.settings),
            *([port.impairment.words()] if port.impairment else ()),
        ]
        for port in node.interfaces
    ]
    neighbours = [[other.name, [str(a) for port in other.interfaces for a in port.addresses]] for other in lab.nodes]
    routes = [[route.to, str(route.via)] for route in node.routes]
    role = [node.role.name, dict(node.role.texts), [template.model_dump() for template in node.role.file.templates]]
    files = [[file.path, hashlib.sha256(file.content).hexdigest(), file.mode] for file in node.files]
    return _fingerprint([ports, neighbours, routes, role, files, str(node.gateway), dict(node.settings), node.ipv6])


def _fingerprint(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Room:
    """What a lab needs of the machine at most: MiB of memory and of disk (images aside)."""

    memory_mib: int
    disk_mib: int


def room_for(lab: Lab) -> Room:
    """The room that `lab` needs when every guest uses all of its memory."""
    memory = sum(node.memory_mib + QEMU_OVERHEAD_MIB for node in lab.nodes)
    return Room(memory, DISK_PER_NODE_MIB * len(lab.nodes))


def estimate_s(nodes: int, *, seconds_a_node: float, at_once: int) -> float:
    """Seconds until that many nodes are started, `at_once` of them at a time."""
    return -(-nodes // max(1, at_once)) * seconds_a_node

"""A lab as the rest of labctl sees it: frozen, complete, every short form resolved, every default filled in.

Owns the words node, interface, link, lab. Built by `lab/load.py` from the file model; nothing here touches a file,
the clock or the network. What a node is *made into* is its role (`lab/roles.py`); what must be true is `lab/model.py`'s checks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from pathlib import Path
from typing import Any

from labctl.errors import UsageError
from labctl.lab.actions import Action
from labctl.lab.impairments import NONE, Impairment
from labctl.lab.model import Check, Observation, Text
from labctl.lab.roles import Role
from labctl.lab.scenarios import Scenario


@dataclass(frozen=True, order=True)
class End:
    """One end of a link: `pc1:eth1`."""

    node: str
    interface: str

    def __str__(self) -> str:
        return f"{self.node}:{self.interface}"


@dataclass(frozen=True)
class Interface:
    """A NIC of a node, or `lo`, or an interface that the role makes itself (an SVI): those have no `mac`."""

    name: str
    mac: str | None
    addresses: tuple[IPv4Interface | IPv6Interface, ...]
    settings: Mapping[str, Any]  # the role's settings for this port, from the link
    impairment: Impairment = NONE  # of what leaves it


@dataclass(frozen=True)
class Route:
    """A static route of a node: `to` (network or `default`) by way of `via`; `metric` is its distance."""

    to: str
    via: IPv4Address | IPv6Address
    metric: int | None = None


@dataclass(frozen=True)
class NodeFile:
    """A file that a lab puts into a node. `content` is final bytes, or with `template` a Jinja2 text; `mode` like 0o644."""

    path: str
    content: bytes
    mode: int
    template: bool = False


@dataclass(frozen=True)
class UnpackedTree:
    """Debian packages of another `architecture`, unpacked in `directory` of the node."""

    directory: str
    architecture: str
    packages: tuple[str, ...]


@dataclass(frozen=True)
class Node:
    """A machine of the lab. `index` counts from 0 in the order of the file and decides its MACs."""

    name: str
    index: int
    role: Role
    memory_mib: int
    cpus: int
    interfaces: tuple[Interface, ...]
    gateway: IPv4Address | IPv6Address | None
    routes: tuple[Route, ...]
    packages: tuple[str, ...]
    files: tuple[NodeFile, ...]
    run: tuple[str, ...]
    uplink: bool
    ipv6: bool
    settings: Mapping[str, Any]  # the role's, defaults filled in
    unpack: tuple[UnpackedTree, ...] = ()

    @property
    def nics(self) -> tuple[Interface, ...]:
        return tuple(port for port in self.interfaces if port.mac is not None)

    def interface(self, name: str) -> Interface:
        return next(port for port in self.interfaces if port.name == name)


@dataclass(frozen=True)
class Link:
    """A cable between two interfaces. `settings` of a port lie on its Interface."""

    a: End
    b: End

    @property
    def name(self) -> str:
        return f"{self.a}--{self.b}"

    @property
    def ends(self) -> tuple[End, End]:
        return (self.a, self.b)


@dataclass(frozen=True)
class Lab:
    """One lab in one variant. `digest` changes whenever anything that decides the running lab changes."""

    name: str
    variant: str  # "default" where the file has none
    variants: tuple[str, ...]  # names of all, "default" first
    title: Text
    summary: Text
    topics: tuple[str, ...]
    minutes: int
    directory: Path
    file: Path
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    ready: tuple[Observation, ...]
    checks: tuple[Check, ...]
    digest: str
    scenarios: tuple[Scenario, ...] = ()

    def node(self, name: str) -> Node:
        for node in self.nodes:
            if node.name == name:
                return node
        raise UsageError(f"no node '{name}' in {self.file}", hint=f"nodes: {', '.join(node.name for node in self.nodes)}")

    def scenario(self, name: str) -> Scenario:
        return next(scenario for scenario in self.scenarios if scenario.name == name)

    def actions_of(self, check: Check) -> tuple[Action, ...]:
        """Everything that a run of the check does, its scenario's timeline too."""
        played = self.scenario(check.scenario).actions if check.scenario else ()
        return (*check.before, *check.do, *played, *check.after)

    def link_at(self, end: End) -> Link | None:
        return next((link for link in self.links if end in link.ends), None)

    def end(self, text: str) -> End:
        """`pc1:eth1` → End; the loader has made sure that both exist."""
        node, _, interface = text.partition(":")
        return End(node, interface)

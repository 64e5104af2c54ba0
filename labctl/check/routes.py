"""Routes and paths as nodes print them: `ip -json route`, FRR's `show ip route … json`, `traceroute -n`, turned into data. Pure.

Owns these formats (iproute2 6.1; FRR 8.4; traceroute 2.1) and nothing about what they should hold.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from labctl.lab.topology import Lab

_HOP = re.compile(r"^\s*(\d+)\s+(\S+)(?:.*?(![A-Z0-9]*))?")


@dataclass(frozen=True)
class FoundRoute:
    """One way of an entry of the table; an entry with several next hops gives several."""

    to: str
    next_hop: str
    interface: str
    metric: int
    dead: bool

    def __str__(self) -> str:
        via = f" via {self.next_hop}" if self.next_hop else ""
        metric = f" metric {self.metric}" if self.metric else ""
        return f"{self.to}{via} dev {self.interface}{metric}{' (link down)' if self.dead else ''}"


def parse_routes(text: str) -> tuple[FoundRoute, ...]:
    """The entries that `ip -json route show` printed; ValueError if it is something else."""
    entries = json.loads(text) if text.strip() else []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("ip printed no list of routes")
    return tuple(_route(entry, way) for entry in entries for way in entry.get("nexthops") or [entry])


def _route(entry: Mapping[str, Any], way: Mapping[str, Any]) -> FoundRoute:
    via = way.get("via")
    gateway = way.get("gateway") or (via.get("host", "") if isinstance(via, Mapping) else "")
    flags = (*entry.get("flags", ()), *way.get("flags", ()))
    metric = entry.get("metric", 0)
    return FoundRoute(
        to=str(entry.get("dst", "")),
        next_hop=str(gateway),
        interface=str(way.get("dev", "")),
        metric=metric if isinstance(metric, int) else 0,
        dead="dead" in flags or "linkdown" in flags,
    )


def parse_frr_routes(text: str, source: str) -> tuple[FoundRoute, ...]:
    """The ways of the entries that FRR chose and that `source` gave it, as `show ip route … json` prints them; ValueError otherwise."""
    entries = json.loads(text)
    if not isinstance(entries, dict) or not all(isinstance(found, list) for found in entries.values()):
        raise ValueError("vtysh printed no routes")
    chosen = [one for found in entries.values() for one in found if one.get("protocol") == source and one.get("selected")]
    return tuple(_frr_route(entry, way) for entry in chosen for way in entry.get("nexthops", ()) if way.get("fib"))


def _frr_route(entry: Mapping[str, Any], way: Mapping[str, Any]) -> FoundRoute:
    return FoundRoute(
        to=str(entry.get("prefix", "")),
        next_hop=str(way.get("ip", "")),
        interface=str(way.get("interfaceName", "")),
        metric=int(entry.get("metric", 0)),
        dead=not way.get("active", False),
    )


@dataclass(frozen=True)
class Hop:
    """A line of traceroute: the address that answered, or `*`; `mark` as in traceroute(8): !H, !N, !X …"""

    address: str
    mark: str = ""


def parse_hops(text: str) -> tuple[Hop, ...]:
    """Lines that begin with a number; the title line does not."""
    lines = [match for line in text.splitlines() if (match := _HOP.match(line))]
    return tuple(Hop(line[2], line[3] or "") for line in lines)


def nodes_by_address(lab: Lab) -> dict[str, str]:
    """Every address of the lab → the node that has it; of an address that two have, the first."""
    owners: dict[str, str] = {}
    for node in lab.nodes:
        for interface in node.interfaces:
            for address in interface.addresses:
                owners.setdefault(str(address.ip), node.name)
    return owners


def address_of(target: str, lab: Lab) -> str:
    """`target` as an address: itself, or the first address of the node of that name; unchanged if it is neither."""
    try:
        return str(ip_address(target))
    except ValueError:
        owned = [address for address, node in nodes_by_address(lab).items() if node == target]
        return owned[0] if owned else target

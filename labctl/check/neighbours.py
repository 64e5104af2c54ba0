"""Neighbours as nodes print them, `ip -json neighbour` (iproute2 6.1), turned into data, and what an observation of them says. Pure.

Owns which states of an entry mean that the MAC address is known: all but those of a question without an answer (ip-neighbour(8)).
"""

import json
from dataclasses import dataclass

from labctl.lab.model import NeighbourSeen
from labctl.lab.topology import Lab

UNKNOWN = frozenset(("FAILED", "INCOMPLETE", "NONE"))


@dataclass(frozen=True)
class FoundNeighbour:
    """An entry of the table; `mac` is empty where nobody has answered."""

    address: str
    mac: str
    interface: str
    state: str

    def __str__(self) -> str:
        return f"{self.address} dev {self.interface} {self.mac or 'without a MAC'} {self.state}"


def parse_neighbours(text: str) -> tuple[FoundNeighbour, ...]:
    """The entries that `ip -json neighbour show` printed; ValueError if it is something else."""
    entries = json.loads(text) if text.strip() else []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("ip printed no list of neighbours")
    found = []
    for entry in entries:
        states = [str(state) for state in entry.get("state") or ["NONE"]]
        mac = "" if UNKNOWN & set(states) else str(entry.get("lladdr", "")).lower()
        found.append(FoundNeighbour(str(entry.get("dst", "")), mac, str(entry.get("dev", "")), "/".join(states)))
    return tuple(found)


def fits(observation: NeighbourSeen, found: FoundNeighbour, lab: Lab) -> bool:
    """Whether the entry is the one that is expected: its MAC is known, and it is this one, behind this interface."""
    mac = None if observation.mac is None else mac_meant(observation.mac, lab)
    here = observation.interface in (None, found.interface)
    return bool(found.mac) and here and mac in (None, found.mac)


def mac_meant(text: str, lab: Lab) -> str:
    """A MAC address: as it stands, or that of `pc2:eth1`."""
    if text.count(":") != 1:
        return text.lower()
    end = lab.end(text)
    return (lab.node(end.node).interface(end.interface).mac or "").lower()

"""The links of a lab file: what they join, and the settings that they carry for the ports at their ends.

Owns DraftLink and the rules of plugging: both ends exist, no end twice, no cable from a node to itself, settings known to a role.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from labctl.lab.draft_nodes import DraftNode
from labctl.lab.faults import Faults
from labctl.lab.impairments import NONE, Impairment, impairment_of, why_impossible
from labctl.lab.model import LabFile, LinkEntry
from labctl.lab.roles import Role
from labctl.lab.settings import read_settings
from labctl.lab.topology import End
from labctl.lab.tree import Path
from labctl.lab.values import END, INTERFACE, NAME, WORDS_FOR
from labctl.lab.words import meant

NOT_FOR_CABLES = frozenset(("lo", "all", "default", "mgmt"))  # the kernel's words under /proc/sys/net, and labctl's namespace


@dataclass
class DraftLink:
    """A cable between two ends that exist, the settings it gives to each, and what it does to frames in each direction."""

    path: Path
    a: End
    b: End
    settings: dict[End, dict[str, Any]] = field(default_factory=dict)
    impairment: Impairment = NONE


def draft_links(file: LabFile, nodes: dict[str, DraftNode], faults: Faults) -> list[DraftLink]:
    links: list[DraftLink] = []
    used: dict[End, Path] = {}
    for number, entry in enumerate(file.links):
        path: Path = ("links", number)
        ends = _ends(entry, (*path, "ends"), nodes, faults)
        if ends is None or not _free(ends, (*path, "ends"), used, faults):
            continue
        link = DraftLink(path, *ends)
        _settings(link, entry.model_extra or {}, nodes, faults)
        link.impairment = impairment_of(entry)
        if found := why_impossible(link.impairment):
            faults.add((*path, found[0]), f"`{found[0]}` cannot be so", found[1])
            link.impairment = NONE
        links.append(link)
    return links


def _ends(entry: LinkEntry, path: Path, nodes: dict[str, DraftNode], faults: Faults) -> tuple[End, End] | None:
    parts = entry.ends.split(" -- ")
    if len(parts) != 2 or not all(part.strip() for part in parts):
        faults.add(path, f"link `{entry.ends[:60]}`", "a link is written pc1:eth1 -- sw1:port1")
        return None
    ends = [parse_end(part.strip(), path, nodes, faults) for part in parts]
    a, b = ends
    if a is None or b is None:
        return None
    if a.node == b.node:
        faults.add(path, f"link `{a} -- {b}` joins {a.node} to itself", "a cable has its ends in two nodes")
        return None
    return a, b


def parse_end(text: str, path: Path, nodes: Mapping[str, DraftNode], faults: Faults) -> End | None:
    """`pc1:eth1` as an end that can take a cable; None, and a fault, where it cannot."""
    node, colon, interface = text.partition(":")
    if not colon:
        faults.add(path, f"`{text}` names no interface", WORDS_FOR[END])
    elif node not in nodes:
        why = WORDS_FOR[NAME] if not re.fullmatch(NAME[1:-1], node) else ""
        faults.add(path, f"no node `{node}`", why, meant(node, nodes))
    elif why := why_no_cable(interface, nodes[node].role):
        faults.add(path, f"`{text}` can take no cable", why)
    else:
        return End(node, interface)
    return None


def why_no_cable(interface: str, role: Role | None) -> str:
    """Why a node with this role has no NIC of that name; empty where it can."""
    if not re.fullmatch(INTERFACE[1:-1], interface):
        return WORDS_FOR[INTERFACE]
    if interface in NOT_FOR_CABLES:
        return f"{interface} is no network card"
    if "." in interface:
        return f"{interface} is a sub-interface, made in the node"
    if role and is_own(interface, role):
        return f"{interface} is made by role {role.name} itself"
    return ""


def is_own(interface: str, role: Role) -> bool:
    return any(fnmatchcase(interface, pattern) for pattern in role.file.own_interfaces)


def _free(ends: tuple[End, End], path: Path, used: dict[End, Path], faults: Faults) -> bool:
    taken = [end for end in ends if end in used]
    for end in taken:
        line = faults.tree.value_spot(used[end]).line
        faults.add(path, f"`{end}` has a cable already", f"the link in line {line}")
    for end in ends:
        used.setdefault(end, path)
    return not taken


def _settings(link: DraftLink, given: Mapping[str, Any], nodes: dict[str, DraftNode], faults: Faults) -> None:
    roles = {end: role for end in (link.a, link.b) if (role := nodes[end.node].role)}
    known = {end: role.file.port_settings for end, role in roles.items()}
    for key in given:
        if not any(key in properties for properties in known.values()) and len(known) == 2:
            names = " or ".join(dict.fromkeys(role.name for role in roles.values()))
            all_keys = [name for properties in known.values() for name in properties]
            faults.add((*link.path, key), f"no port setting `{key}` in role {names}", "", meant(key, all_keys), key=True)
    for end, properties in known.items():
        mine = {key: value for key, value in given.items() if key in properties}
        link.settings[end], problems = read_settings(properties, mine, f"a port of role {roles[end].name}")
        for one in problems:
            faults.add((*link.path, *one.path), one.what, one.why, one.hint, key=one.on_key)

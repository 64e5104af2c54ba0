"""The interfaces of every node: which there are, their MACs, addresses and settings; gateways and routes that fit them.

A node has a NIC for every interface that a link or `ports:` names; `lo`, the role's own interfaces and sub-interfaces (eth1.10) have
no NIC. NICs are numbered in natural order (eth2 before eth10), which decides their MACs.
"""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from labctl.lab.addresses import (
    MAX_INTERFACES,
    InterfaceAddress,
    lab_seed,
    mac_of,
    parse_address,
    parse_interface_address,
    parse_mac,
    parse_network,
)
from labctl.lab.draft_links import DraftLink, is_own, why_no_cable
from labctl.lab.draft_nodes import DraftNode
from labctl.lab.faults import Faults
from labctl.lab.impairments import NONE
from labctl.lab.model import LabFile
from labctl.lab.settings import filled, read_settings
from labctl.lab.topology import End, Interface, Route
from labctl.lab.tree import Path
from labctl.lab.words import is_range, meant, natural


def draft_interfaces(
    file: LabFile, nodes: dict[str, DraftNode], links: list[DraftLink], faults: Faults
) -> dict[str, tuple[Interface, ...]]:
    """All interfaces by node, complete."""
    cabled = {end: link for link in links for end in (link.a, link.b)}
    for key in file.addresses:
        if key not in nodes:
            why = "each node has addresses of its own" if is_range(key) else ""
            faults.add(("addresses", key), f"no node `{key}`", why, "" if why else meant(key, nodes), key=True)
    macs: dict[str, End] = {}
    wired: dict[str, set[str]] = {name: set() for name in nodes}
    for end in cabled:
        wired[end.node].add(end.interface)
    made = {node.name: _of_node(node, file, cabled, wired[node.name], faults) for node in nodes.values()}
    for node in nodes.values():
        _check_macs(node, made[node.name], macs, faults)
    return made


def _of_node(node: DraftNode, file: LabFile, cabled: Mapping[End, DraftLink], wired: set[str], faults: Faults) -> tuple[Interface, ...]:
    nics = sorted(wired | set(_ports(node, wired, faults)), key=natural)
    if len(nics) > MAX_INTERFACES:
        faults.add(node.path, f"node {node.name} has {len(nics)} network cards", f"at most {MAX_INTERFACES}", key=True)
        nics = nics[:MAX_INTERFACES]
    addresses = _addresses(node, file.addresses.get(node.name, {}), nics, faults)
    literal = _literal_macs(node, nics, faults)
    seed = lab_seed(file.name)
    interfaces = []
    for port, name in enumerate(nics):
        mac = literal.get(name) or mac_of(seed, node.index, port)
        end = End(node.name, name)
        link = cabled.get(end)
        settings = _port_settings(node, name, link.settings.get(end, {}) if link else {})
        interfaces.append(Interface(name, mac, addresses.get(name, ()), settings, link.impairment if link else NONE))
    others = [Interface(name, None, own, {}) for name, own in addresses.items() if name not in nics]
    for path in node.port_places:
        if path[-1] not in nics:
            what = f"`{path[-1]}` is neither a setting nor a port of {node.name}"
            faults.add(path, what, "", meant(str(path[-1]), [*nics, *(node.role.file.settings if node.role else ())]), key=True)
    return (*interfaces, *others)


def _ports(node: DraftNode, wired: set[str], faults: Faults) -> Iterator[str]:
    seen: set[str] = set()
    for number, name in enumerate(node.entry.ports if node.entry else ()):
        path = (*node.path, "ports", number)
        if why := why_no_cable(name, node.role):
            faults.add(path, f"`{name}` can take no cable", why)
        elif name in wired or name in seen:
            faults.add(path, f"`{name}` has a cable, or stands here twice", "`ports` are interfaces without a cable")
        else:
            seen.add(name)
            yield name


def _port_settings(node: DraftNode, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    if node.role is None:
        return {}
    properties = node.role.file.port_settings
    varied, _ = read_settings(properties, node.ports.get(name, {}), "")
    return filled(properties, {**given, **varied})


# --- addresses -------------------------------------------------------------------------------------------------------------


def _addresses(
    node: DraftNode, table: Mapping[str, tuple[str, ...]], nics: list[str], faults: Faults
) -> dict[str, tuple[InterfaceAddress, ...]]:
    made = {}
    for interface, texts in table.items():
        path: Path = ("addresses", node.name, interface)
        if why := _why_no_interface(interface, node, nics):
            hint = "" if "." in interface else meant(interface, [*nics, "lo"])
            faults.add(path, f"{node.name} has no interface `{interface}`", why, hint, key=True)
            continue
        made[interface] = tuple(_of_interface(node, interface, texts, path, faults))
    return made


def _why_no_interface(interface: str, node: DraftNode, nics: list[str]) -> str:
    """Why addresses cannot stand there; empty where they can."""
    if interface in nics or interface == "lo" or node.role is None or is_own(interface, node.role):
        return ""
    parent, dot, number = interface.partition(".")
    if dot:
        known = parent in nics or is_own(parent, node.role)
        return "" if known and number.isdigit() and 1 <= int(number) <= 4094 and len(interface) < 16 else "no sub-interface of one it has"
    return why_no_cable(interface, node.role) or "neither a link nor `ports:` of the node names it"


def _of_interface(node: DraftNode, interface: str, texts: tuple[str, ...], path: Path, faults: Faults) -> Iterator[InterfaceAddress]:
    seen: set[Any] = set()
    for number, text in enumerate(texts):
        here = (*path, number)
        try:
            address = parse_interface_address(text, interface)
        except ValueError as error:
            faults.add(here, str(error))
            continue
        if address.ip in seen:
            faults.add(here, f"{address.ip} stands here twice")
        elif address.version == 6 and node.entry and not node.entry.ipv6 and interface != "lo":
            faults.add(here, f"`{text}` is IPv6, which {node.name} does not speak", "", f"give {node.name} `ipv6: true`")
        else:
            yield address
        seen.add(address.ip)


def _literal_macs(node: DraftNode, nics: list[str], faults: Faults) -> dict[str, str]:
    made = {}
    for interface, text in (node.entry.macs if node.entry else {}).items():
        path = (*node.path, "macs", interface)
        if interface not in nics:
            faults.add(path, f"{node.name} has no network card `{interface}`", "", meant(interface, nics), key=True)
            continue
        try:
            made[interface] = parse_mac(text)
        except ValueError as error:
            faults.add(path, str(error))
    return made


def _check_macs(node: DraftNode, interfaces: tuple[Interface, ...], macs: dict[str, End], faults: Faults) -> None:
    for port in interfaces:
        if port.mac is None:
            continue
        other = macs.setdefault(port.mac, End(node.name, port.name))
        if other != End(node.name, port.name):
            faults.add((*node.path, "macs", port.name), f"{node.name}:{port.name} has the MAC of {other}", port.mac)


# --- gateway and routes ----------------------------------------------------------------------------------------------------


def draft_gateway(node: DraftNode, interfaces: tuple[Interface, ...], faults: Faults) -> IPv4Address | IPv6Address | None:
    if node.entry is None or node.entry.gateway is None:
        return None
    return _next_hop(node.entry.gateway, "gateway", node, interfaces, (*node.path, "gateway"), faults)


def draft_routes(node: DraftNode, interfaces: tuple[Interface, ...], faults: Faults) -> tuple[Route, ...]:
    made = []
    for number, entry in enumerate(node.entry.routes if node.entry else ()):
        path = (*node.path, "routes", number)
        via = _next_hop(entry.via, "via", node, interfaces, (*path, "via"), faults)
        try:
            version = None if entry.to == "default" else parse_network(entry.to).version
        except ValueError as error:
            faults.add((*path, "to"), str(error))
            continue
        if via and version and version != via.version:
            faults.add((*path, "via"), f"{entry.via} is no way to {entry.to}", "one is IPv4, the other IPv6")
        elif via:
            made.append(Route(entry.to, via, entry.metric))
    return tuple(made)


def _next_hop(
    text: str, word: str, node: DraftNode, interfaces: tuple[Interface, ...], path: Path, faults: Faults
) -> IPv4Address | IPv6Address | None:
    try:
        address = parse_address(text)
    except ValueError as error:
        faults.add(path, str(error))
        return None
    mine = [one for port in interfaces for one in port.addresses if port.name != "lo"]
    if any(one.ip == address for one in mine):
        faults.add(path, f"{word} {address} is {node.name}'s own address")
    elif not any(address in one.network for one in mine):
        subnets = ", ".join(str(one.network) for one in mine)
        why = f"its subnets: {subnets}" if mine else "it has no address"
        if not faults.tree.at(("addresses", node.name)).damaged and not _faulty(node, faults):
            faults.add(path, f"{word} {address} is in no subnet of {node.name}", why)
    return address


def _faulty(node: DraftNode, faults: Faults) -> bool:
    """Whether an address of the node could not be read: then its subnets are not known."""
    place = faults.tree.found(("addresses", node.name))
    if len(place) < 2:
        return False
    table = faults.tree.at(place)
    lines = {spot for spot in _spots(table)}
    return any((fault.line, fault.column) in lines for fault in faults.all)


def _spots(tree: Any) -> Iterator[tuple[int, int]]:
    yield tree.line, tree.column
    yield from tree.keys.values()
    for child in tree.children:
        yield from _spots(child)

"""A lab whose links were made worse or cleared while it runs: the pure half of `labctl link set` and of the action `impair`."""

from dataclasses import replace

from labctl.errors import UsageError
from labctl.lab.digest import with_digest
from labctl.lab.impairments import Impairment, ImpairmentKeys, merged, why_impossible
from labctl.lab.topology import End, Lab, Node


def impaired_more(lab: Lab, end: End, changes: ImpairmentKeys) -> Lab:
    """`lab` with what leaves `end` changed; what is not named stays. `UsageError` for what cannot be had."""
    new = merged(lab.node(end.node).interface(end.interface).impairment, changes)
    if found := why_impossible(new):
        raise UsageError(f"{found[0]} at {end} cannot be so", why=found[1])
    return impaired(lab, end, new)


def impaired(lab: Lab, end: End, impairment: Impairment) -> Lab:
    """`lab` with this, and nothing else, done to what leaves `end`."""
    nodes = (_changed(node, end.interface, impairment) if node.name == end.node else node for node in lab.nodes)
    return with_digest(replace(lab, nodes=tuple(nodes)))


def _changed(node: Node, interface: str, impairment: Impairment) -> Node:
    ports = (replace(port, impairment=impairment) if port.name == interface else port for port in node.interfaces)
    return replace(node, interfaces=tuple(ports))

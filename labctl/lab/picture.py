"""What a picture of a lab says beside its nodes and cables: settings of ports, impairments, and (of a running lab) what is off or cut.

Owns these words and the Now of a picture. Where they stand is `lab/drawing.py`'s and `lab/dot.py`'s.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from labctl.lab.topology import End, Link, Node

# What a plan of a network shows. Other settings are found at the machine: the fault of a task is one.
PLANNED = ("vlan", "trunk", "cost", "ospf", "rip", "bgp")


@dataclass(frozen=True)
class Now:
    """A running lab as it is: nodes that are off, ends whose cable is pulled. A lab of a file has neither."""

    off: frozenset[str] = frozenset()
    cut: frozenset[End] = frozenset()

    def is_cut(self, link: Link) -> bool:
        return bool({link.a, link.b} & self.cut)


AS_WRITTEN = Now()


def addresses_at(node: Node, interface: str) -> tuple[str, ...]:
    return tuple(str(address) for address in node.interface(interface).addresses)


def about_port(node: Node, interface: str) -> tuple[str, ...]:
    """Addresses, then what a plan shows of its settings, where it is not the role's default: `vlan 10`, `ospf cost 50`."""
    return (*addresses_at(node, interface), *_settings(node, interface))


def _settings(node: Node, interface: str) -> Iterator[str]:
    properties = node.role.file.port_settings
    for key, value in node.interface(interface).settings.items():
        schema = properties.get(key)
        default = schema.get("default") if isinstance(schema, dict) else None
        if key in PLANNED and value != default and (words := setting_words(key, value)):
            yield words


def setting_words(key: str, value: Any) -> str:
    """`vlan 10`, `trunk 10,20`, `isolated`, `no learning`, `ospf cost 10 passive`; nothing for what is not set."""
    if value is None or value == [] or value == {}:
        return ""
    if isinstance(value, bool):
        return key if value else f"no {key}"
    if isinstance(value, Mapping):
        return " ".join((key, *(inner for name, one in value.items() if one is not False and (inner := setting_words(name, one)))))
    if isinstance(value, list | tuple):
        return f"{key} {','.join(map(str, value))}"
    return f"{key} {value}"


def impairments_of(link: Link, nodes: Mapping[str, Node]) -> tuple[str, ...]:
    """What the link does to frames: once where both directions are alike, else each with its arrow."""
    there, back = (str(nodes[end.node].interface(end.interface).impairment) for end in link.ends)
    if there == back:
        return (there,) if there else ()
    return tuple(f"{end.node} → {words}" for end, words in zip(link.ends, (there, back), strict=True) if words)


def off_words(language: str) -> str:
    return "（停止中）" if language == "ja" else " (off)"


def cut_words(language: str) -> str:
    return "切断" if language == "ja" else "cut"

"""What a lab has, for the rules that judge references to it: nodes, their interfaces and roles, ends that a cable is or will be in.

Owns the sentences "no node …" and "no interface …", with what was probably meant.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from labctl.lab.draft_links import DraftLink, is_own
from labctl.lab.draft_nodes import DraftNode
from labctl.lab.faults import Faults
from labctl.lab.impairments import Impairment
from labctl.lab.topology import End, Interface
from labctl.lab.tree import Path
from labctl.lab.words import close, meant


@dataclass(frozen=True)
class Known:
    """The lab so far, and where faults go."""

    nodes: dict[str, DraftNode]
    interfaces: dict[str, tuple[Interface, ...]]
    cabled: frozenset[End]
    impairments: Mapping[End, Impairment]
    faults: Faults

    @classmethod
    def of(
        cls, nodes: dict[str, DraftNode], interfaces: dict[str, tuple[Interface, ...]], links: list[DraftLink], faults: Faults
    ) -> "Known":
        ends = {end: link.impairment for link in links for end in (link.a, link.b)}
        return cls(nodes, interfaces, frozenset(ends), ends, faults)

    def node(self, name: str, path: Path, *, key: bool = False, or_words: tuple[str, ...] = ()) -> DraftNode | None:
        """The node, or a fault; `or_words` could have been meant as well."""
        if name not in self.nodes:
            hint = close(name, or_words) or meant(name, self.nodes)
            self.faults.add(path, f"no node `{name}`", "", hint, key=key)
        return self.nodes.get(name)

    def end(self, text: str, path: Path) -> End | None:
        """The end of a cable (or of a port that waits for one), or a fault."""
        name, _, interface = text.partition(":")
        node = self.node(name, path)
        if node is None:
            return None
        nics = [port.name for port in self.interfaces[name] if port.mac]
        if interface in nics:
            return End(name, interface)
        if any(port.name == interface for port in self.interfaces[name]) or (node.role and is_own(interface, node.role)):
            self.faults.add(path, f"`{text}` has no wire", "it is no network card: no cable ends there", meant(interface, nics))
        else:
            self.faults.add(path, f"node {name} has no interface `{interface}`", "", meant(interface, nics))
        return None

    def cable(self, text: str, path: Path, also: frozenset[End]) -> None:
        """A fault unless a cable is there, or will be by a move (`also`)."""
        end = self.end(text, path)
        if end and end not in self.cabled and end not in also:
            self.faults.add(path, f"no cable is in `{text}`", "", f"links of {end.node}: {', '.join(self._links_of(end.node)) or 'none'}")

    def _links_of(self, node: str) -> list[str]:
        return [str(end) for end in sorted(self.cabled) if end.node == node]

"""A lab as a picture in text: a tree for the terminal, Mermaid for a page. Pure: a Lab goes in, text comes out.

Owns what every picture shows (nodes, roles, interface names and addresses at the ends of cables) and the order in which a
reader meets it: well connected gear first, hosts below it. DOT, which becomes SVG, is `lab/dot.py`'s and uses the same order.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from labctl.lab.picture import AS_WRITTEN, Now, about_port, cut_words, impairments_of, off_words
from labctl.lab.topology import End, Lab, Link, Node

GEAR = frozenset(("repeater", "hub", "bridge", "switch", "router", "firewall"))
_MERMAID = {"router": ("((", "))"), "firewall": ("{{", "}}"), "server": ("[(", ")]"), "host": ("(", ")")}


# --- what all pictures share ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Branch:
    """A cable as a reader meets it: from the node that was met first. `level` tells how many cables away each node is from the first."""

    link: Link
    near: Node
    far: Node
    sideways: bool  # both nodes are equally far from the first

    @property
    def near_end(self) -> End:
        return end_at(self.link, self.near)

    @property
    def far_end(self) -> End:
        return end_at(self.link, self.far)


@dataclass(frozen=True)
class Layout:
    """The order of a picture: nodes as they are met, every cable once, and whether all stand in one row."""

    starts: tuple[Node, ...]  # one for each part that no cable joins to the others
    branches: tuple[Branch, ...]
    chain: bool

    def below(self, node: Node) -> tuple[Branch, ...]:
        return tuple(branch for branch in self.branches if branch.near is node)


def plan_layout(lab: Lab) -> Layout:
    """Walk every part of the lab outwards, breadth first: from the best connected gear, a chain from its first end."""
    links = {node.name: _links_of(lab, node) for node in lab.nodes}
    nodes = {node.name: node for node in lab.nodes}
    chain = _is_chain(links)
    starts: list[Node] = []
    levels: dict[str, int] = {}
    branches: list[Branch] = []
    for start in _by_importance(lab, links, chain=chain):
        if start.name not in levels:
            starts.append(start)
            branches += _walk(start, nodes, links, levels)
    return Layout(tuple(starts), tuple(branches), chain)


def _walk(start: Node, nodes: Mapping[str, Node], links: Mapping[str, list[Link]], levels: dict[str, int]) -> Iterator[Branch]:
    levels[start.name] = 0
    queue, told = [start], set[Link]()
    while queue:
        near = queue.pop(0)
        for link in links[near.name]:
            far = nodes[_other_end(link, near).node]
            if far.name not in levels:
                levels[far.name] = levels[near.name] + 1
                queue.append(far)
            if link not in told:
                told.add(link)
                yield Branch(link, near, far, sideways=levels[near.name] == levels[far.name])


def _by_importance(lab: Lab, links: Mapping[str, list[Link]], *, chain: bool) -> list[Node]:
    """Gear before hosts, many cables before few, then the order of the file; in a chain its ends first."""
    if chain:
        return sorted(lab.nodes, key=lambda node: (len(links[node.name]), node.index))
    return sorted(lab.nodes, key=lambda node: (node.role.file.kind not in GEAR, -len(links[node.name]), node.index))


def _is_chain(links: Mapping[str, list[Link]]) -> bool:
    counts = [len(own) for own in links.values()]
    return max(counts, default=0) <= 2 and counts.count(1) == 2 and counts.count(0) == 0


def _links_of(lab: Lab, node: Node) -> list[Link]:
    """The cables of a node in the order of its interfaces."""
    places = {port.name: place for place, port in enumerate(node.interfaces)}
    own = [link for link in lab.links if node.name in (link.a.node, link.b.node)]
    return sorted(own, key=lambda link: places[end_at(link, node).interface])


def end_at(link: Link, node: Node) -> End:
    return link.a if link.a.node == node.name else link.b


def _other_end(link: Link, node: Node) -> End:
    return link.b if link.a.node == node.name else link.a


def loose_ports(lab: Lab, node: Node, language: str) -> tuple[str, ...]:
    """What stands at no cable's end: `lo 10.255.0.1/32`, `port5 (free)`."""
    cabled = {end_at(link, node).interface for link in lab.links if node.name in (link.a.node, link.b.node)}
    loose = [port for port in node.interfaces if port.name not in cabled]
    free = [port.name for port in loose if not port.addresses]
    nics = [port.name for port in node.nics]
    return (*_free(free, nics, language), *(f"{port.name} {' '.join(map(str, port.addresses))}" for port in loose if port.addresses))


def _free(ports: list[str], nics: list[str], language: str) -> tuple[str, ...]:
    """One entry for all: `port5 … port8 (free)`, where none between them has a cable."""
    if not ports:
        return ()
    row = len(ports) > 2 and ports[0] in nics and ports == nics[nics.index(ports[0]) :][: len(ports)]
    names = f"{ports[0]} … {ports[-1]}" if row else ", ".join(ports)
    return (f"{names}（空き）" if language == "ja" else f"{names} (free)",)


# --- terminal ------------------------------------------------------------------------------------------------------------------


def render_terminal(lab: Lab, language: str = "en", now: Now = AS_WRITTEN) -> str:
    """A tree of cables, each told once: `port1 ─── pc1:eth1  192.168.1.11/24  host`."""
    layout = plan_layout(lab)
    drawn: set[str] = set()
    off = {node.name: off_words(language) if node.name in now.off else "" for node in lab.nodes}
    descriptions = {node.name: "  ".join((f"{node.role.name}{off[node.name]}", *loose_ports(lab, node, language))) for node in lab.nodes}
    notes = {link: _notes(link, lab, language, now) for link in lab.links}
    lines = [f"{lab.name}  {lab.title.in_language(language)}"]
    for start in layout.starts:
        lines += ["", f"{start.name}  {descriptions[start.name]}"]
        lines += _tree(layout, start, descriptions, notes, drawn, "")
    return "\n".join(lines) + "\n"


def _notes(link: Link, lab: Lab, language: str, now: Now) -> str:
    """What is the matter with a cable, in brackets."""
    nodes = {node.name: node for node in lab.nodes}
    words = ([cut_words(language)] if now.is_cut(link) else []) + list(impairments_of(link, nodes))
    return f"[{'; '.join(words)}]" if words else ""


def _tree(
    layout: Layout, node: Node, descriptions: Mapping[str, str], notes: Mapping[Link, str], drawn: set[str], indent: str
) -> Iterator[str]:
    drawn.add(node.name)
    branches = layout.below(node)
    nears = _even([" ".join((branch.near_end.interface, *about_port(node, branch.near_end.interface))) for branch in branches], "─")
    names = _even([str(branch.far_end) for branch in branches], " ")
    addresses = _even([" ".join(about_port(branch.far, branch.far_end.interface)) for branch in branches], " ")
    for place, branch in enumerate(branches):
        last = branch is branches[-1]
        again = branch.sideways or branch.far.name in drawn
        words = (names[place], addresses[place], "(see there)" if again else descriptions[branch.far.name], notes[branch.link])
        yield f"{indent}{'└─' if last else '├─'} {nears[place]}── {'  '.join(word for word in words if word)}"
        if not again:
            yield from _tree(layout, branch.far, descriptions, notes, drawn, indent + ("   " if last else "│  "))


def _even(words: list[str], fill: str) -> list[str]:
    """All words at the same width; a cable's dashes keep one blank before them."""
    width = max(map(len, words), default=0)
    if fill == " ":
        return [word.ljust(width) for word in words]
    return [f"{word} {fill * (width - len(word))}" for word in words]


# --- Mermaid -------------------------------------------------------------------------------------------------------------------


def render_mermaid(lab: Lab, language: str = "en", now: Now = AS_WRITTEN) -> str:
    """A Mermaid flowchart, as GitHub and many wikis render it."""
    layout = plan_layout(lab)
    lines = ["---", f'title: "{_mermaid_text(lab.title.in_language(language))}"', "---", f"flowchart {'LR' if layout.chain else 'TB'}"]
    for node in lab.nodes:
        opening, closing = _MERMAID.get(node.role.file.kind, ("[", "]"))
        off = off_words(language) if node.name in now.off else ""
        label = "<br/>".join((f"<b>{node.name}</b>", f"{node.role.name}{off}", *loose_ports(lab, node, language)))
        lines.append(f'    {_mermaid_id(node)}{opening}"{label}"{closing}')
    lines += [f"    {_mermaid_cable(each, _notes(each.link, lab, language, now), cut=now.is_cut(each.link))}" for each in layout.branches]
    return "\n".join(lines) + "\n"


def _mermaid_cable(branch: Branch, notes: str, *, cut: bool) -> str:
    words = " ".join(filter(None, (_mermaid_ends(branch), notes)))
    return f'{_mermaid_id(branch.near)} {"-.-" if cut else "---"}|"{_mermaid_text(words)}"| {_mermaid_id(branch.far)}'


def _mermaid_ends(branch: Branch) -> str:
    near = " ".join((branch.near_end.interface, *about_port(branch.near, branch.near_end.interface)))
    far = " ".join((branch.far_end.interface, *about_port(branch.far, branch.far_end.interface)))
    return f"{near} — {far}"


def _mermaid_id(node: Node) -> str:
    """`end` and the like are words of Mermaid; a prefix makes any name safe."""
    return "n_" + node.name.replace("-", "_")


def _mermaid_text(text: str) -> str:
    return text.replace('"', "#quot;").replace("\n", " ")

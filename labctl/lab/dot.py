"""A lab as DOT, graphviz's language: a picture good enough for a slide. Pure: a Lab goes in, text comes out.

Each node is its symbol, its name and role, and a small field for every port with its addresses, on the side where its cable
leaves; so nothing that is written lies on a line. `put_symbols` fills the symbols into the SVG that graphviz makes of it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from labctl.lab.drawing import Branch, Layout, loose_ports, plan_layout
from labctl.lab.picture import AS_WRITTEN, Now, about_port, addresses_at, cut_words, impairments_of, off_words
from labctl.lab.symbols import HEIGHT, SYMBOLS, WIDTH, symbol_name, symbol_of
from labctl.lab.topology import Lab, Node

FONT = "Noto Sans CJK JP,Noto Sans,DejaVu Sans,sans-serif"
INK, PALE, LINE = "#1a202c", "#4a5568", "#718096"
BAD, SETTING, WORSE = "#c53030", "#1d5fa8", "#b4540a"
_TABLE = '<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="{gap}" CELLPADDING="{room}">{rows}</TABLE>'


@dataclass
class Sides:
    """Interfaces of one node by the side of its box where their cables leave. `towards` and `away` are seen from the first node."""

    towards: list[str] = field(default_factory=list)
    away: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)


def render_dot(lab: Lab, language: str = "en", now: Now = AS_WRITTEN, *, symbols: bool = True) -> str:
    """DOT for graphviz. What is off is pale, what is cut is dashed and red.

    With `symbols` each node holds a blank field of a colour that stands for its symbol, for `put_symbols` to fill.
    """
    layout = plan_layout(lab)
    sides = _sides(lab, layout)
    lines = [f"graph {_quoted(lab.name)} {{", *_defaults(lab, language, chain=layout.chain)]
    for node in lab.nodes:
        box = _box(_middle(lab, node, language, off=node.name in now.off, symbols=symbols), node, sides[node.name], chain=layout.chain)
        lines.append(f"  {_quoted(node.name)} [label=<{box}>]")
    lines += [f"  {_cable(branch, chain=layout.chain)}{_look(branch, lab, language, now)}" for branch in layout.branches]
    return "\n".join([*lines, "}"]) + "\n"


def _sides(lab: Lab, layout: Layout) -> Mapping[str, Sides]:
    sides = {node.name: Sides() for node in lab.nodes}
    for branch in layout.branches:
        near, far = sides[branch.near.name], sides[branch.far.name]
        (near.after if branch.sideways else near.away).append(branch.near_end.interface)
        (far.before if branch.sideways else far.towards).append(branch.far_end.interface)
    return sides


def _defaults(lab: Lab, language: str, *, chain: bool) -> list[str]:
    font = f"fontname={_quoted(FONT)}, fontcolor={_quoted(INK)}"
    return [
        f"  graph [label=<<B>{escape(lab.title.in_language(language))}</B><BR/> >, labelloc=t, fontsize=20, {font},",
        f"         rankdir={'LR' if chain else 'TB'}, nodesep=0.45, ranksep={0.8 if chain else 0.75}, pad=0.25, bgcolor=white]",
        f"  node [shape=plain, fontsize=13, {font}]",
        f"  edge [color={_quoted(PALE)}, penwidth=1.8]",
    ]


# --- nodes ---------------------------------------------------------------------------------------------------------------------


def _box(middle: str, node: Node, sides: Sides, *, chain: bool) -> str:
    """The node's table: ports on the side of their cable, the symbol with the names in the middle."""
    if chain:
        cells = [_ports(node, sides.towards, upright=True), middle, _ports(node, sides.away, upright=True)]
        return _table([_row(cells)])
    centre = [_ports(node, sides.before, upright=True), middle, _ports(node, sides.after, upright=True)]
    rows = [_ports(node, sides.towards), _table([_row(centre)]), _ports(node, sides.away)]
    return _table([_row([row]) for row in rows if row])


def _middle(lab: Lab, node: Node, language: str, *, off: bool, symbols: bool) -> str:
    symbol = symbol_name(node.role.name, node.role.file.kind)
    mark = [f'<TD FIXEDSIZE="TRUE" WIDTH="{WIDTH}" HEIGHT="{HEIGHT}" BGCOLOR="{marker_of(symbol, pale=off)}"></TD>'] if symbols else []
    lines = [
        f"<B>{escape(node.name)}</B>",
        _small(node.role.name) + (_small(off_words(language), BAD) if off else ""),
        *map(_small, loose_ports(lab, node, language)),
    ]
    return _table([f"<TR>{cell}</TR>" for cell in [*mark, f"<TD>{'<BR/>'.join(lines)}</TD>"]], room=2)


def _ports(node: Node, interfaces: Sequence[str], *, upright: bool = False) -> str:
    """A row (or column) of small fields, one for each port; empty for none."""
    cells = [_port(node, interface) for interface in interfaces]
    if not cells:
        return ""
    return _table([f"<TR>{cell}</TR>" for cell in cells] if upright else [f"<TR>{''.join(cells)}</TR>"], gap=4)


def _port(node: Node, interface: str) -> str:
    settings = about_port(node, interface)[len(addresses_at(node, interface)) :]
    lines = [*map(_small, (interface, *addresses_at(node, interface))), *(_small(words, SETTING) for words in settings)]
    text = "<BR/>".join(lines)
    return f'<TD PORT="{_port_id(interface)}" BORDER="1" COLOR="{LINE}" BGCOLOR="#f7fafc" CELLPADDING="3" STYLE="ROUNDED">{text}</TD>'


def _table(rows: Sequence[str], *, gap: int = 0, room: int = 0) -> str:
    return _TABLE.format(gap=gap, room=room, rows="".join(rows))


def _row(cells: Sequence[str]) -> str:
    return "<TR>" + "".join(f"<TD>{cell}</TD>" for cell in cells if cell) + "</TR>"


def _small(text: str, colour: str = PALE) -> str:
    return f'<FONT POINT-SIZE="11" COLOR="{colour}">{escape(text)}</FONT>'


# --- cables --------------------------------------------------------------------------------------------------------------------


def _cable(branch: Branch, *, chain: bool) -> str:
    leaves, enters = ("e", "w") if chain or branch.sideways else ("s", "n")
    near = f"{_quoted(branch.near.name)}:{_port_id(branch.near_end.interface)}:{leaves}"
    far = f"{_quoted(branch.far.name)}:{_port_id(branch.far_end.interface)}:{enters}"
    line = f"{near} -- {far}"
    same = f"{{rank=same; {_quoted(branch.near.name)}; {_quoted(branch.far.name)}}} "
    return same + line if branch.sideways else line


def _look(branch: Branch, lab: Lab, language: str, now: Now) -> str:
    """Attributes of a cable that is cut or does something to frames."""
    cut = now.is_cut(branch.link)
    worse = impairments_of(branch.link, {node.name: node for node in lab.nodes})
    lines = ([f'<FONT COLOR="{BAD}"><B>✕ {cut_words(language)}</B></FONT>'] if cut else []) + [_small(words, WORSE) for words in worse]
    attributes = [f'color="{BAD}", style=dashed'] if cut else []
    attributes += [f"label=<{'<BR/>'.join(lines)}>, fontname={_quoted(FONT)}, fontsize=12"] if lines else []
    return f" [{', '.join(attributes)}]" if attributes else ""


def _port_id(interface: str) -> str:
    return "p_" + re.sub(r"[^a-z0-9]", "_", interface)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


# --- symbols in the finished SVG -------------------------------------------------------------------------------------------------


def marker_of(symbol: str, *, pale: bool = False) -> str:
    """A colour next to white that stands for a symbol in graphviz's output."""
    names = list(SYMBOLS)
    return f"#ffff{2 * (names.index(symbol) if symbol in names else 0) + 0xA0 + pale:02x}"


def put_symbols(svg: str) -> str:
    """The SVG with each marked field replaced by its symbol."""
    known = {marker_of(name, pale=pale): (name, pale) for name in SYMBOLS for pale in (False, True)}

    def replaced(found: re.Match[str]) -> str:
        return _placed(*known[found[1]], found[2]) if found[1] in known else found[0]

    return re.sub(r'<polygon fill="(#ffff[0-9a-f]{2})"[^>]*points="([^"]+)"/>', replaced, svg)


def _placed(name: str, pale: bool, points: str) -> str:
    corners = [tuple(map(float, point.split(","))) for point in points.split()]
    left, top = min(corner[0] for corner in corners), min(corner[1] for corner in corners)
    faint = ' opacity="0.3"' if pale else ""
    return f'<g transform="translate({left:g},{top:g})"{faint}>{symbol_of(name)}</g>'

"""A lab as DOT, graphviz's language: a picture good enough for a slide. Pure: a Lab goes in, text comes out.

Each node is its symbol, its name and role, and a small field for every port with its addresses, on the side where its cable
leaves; so nothing that is written lies on a line. `put_symbols` fills the symbols into the SVG that graphviz makes of it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from labctl.lab.drawing import Branch, Layout, addresses_at, loose_ports, plan_layout
from labctl.lab.symbols import HEIGHT, SYMBOLS, WIDTH, symbol_of
from labctl.lab.topology import Lab, Node

FONT = "Noto Sans CJK JP,Noto Sans,DejaVu Sans,sans-serif"
INK, PALE, LINE = "#1a202c", "#4a5568", "#718096"
_TABLE = '<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="{gap}" CELLPADDING="{room}">{rows}</TABLE>'


@dataclass
class Sides:
    """Interfaces of one node by the side of its box where their cables leave. `towards` and `away` are seen from the first node."""

    towards: list[str] = field(default_factory=list)
    away: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)


def render_dot(lab: Lab, language: str = "en", *, symbols: bool = True) -> str:
    """DOT for graphviz. With `symbols` each node holds a blank field of its kind's colour, for `put_symbols` to fill."""
    layout = plan_layout(lab)
    sides = _sides(lab, layout)
    lines = [f"graph {_quoted(lab.name)} {{", *_defaults(lab, language, chain=layout.chain)]
    for node in lab.nodes:
        box = _box(_middle(lab, node, language, symbols=symbols), node, sides[node.name], chain=layout.chain)
        lines.append(f"  {_quoted(node.name)} [label=<{box}>]")
    lines += [f"  {_cable(branch, chain=layout.chain)}" for branch in layout.branches]
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


def _middle(lab: Lab, node: Node, language: str, *, symbols: bool) -> str:
    kind = node.role.file.kind
    mark = [f'<TD FIXEDSIZE="TRUE" WIDTH="{WIDTH}" HEIGHT="{HEIGHT}" BGCOLOR="{marker_of(kind)}"></TD>'] if symbols else []
    lines = [f"<B>{escape(node.name)}</B>", _small(node.role.name), *map(_small, loose_ports(lab, node, language))]
    return _table([f"<TR>{cell}</TR>" for cell in [*mark, f"<TD>{'<BR/>'.join(lines)}</TD>"]], room=2)


def _ports(node: Node, interfaces: Sequence[str], *, upright: bool = False) -> str:
    """A row (or column) of small fields, one for each port; empty for none."""
    cells = [_port(node, interface) for interface in interfaces]
    if not cells:
        return ""
    return _table([f"<TR>{cell}</TR>" for cell in cells] if upright else [f"<TR>{''.join(cells)}</TR>"], gap=4)


def _port(node: Node, interface: str) -> str:
    text = "<BR/>".join(map(_small, (interface, *addresses_at(node, interface))))
    return f'<TD PORT="{_port_id(interface)}" BORDER="1" COLOR="{LINE}" BGCOLOR="#f7fafc" CELLPADDING="3" STYLE="ROUNDED">{text}</TD>'


def _table(rows: Sequence[str], *, gap: int = 0, room: int = 0) -> str:
    return _TABLE.format(gap=gap, room=room, rows="".join(rows))


def _row(cells: Sequence[str]) -> str:
    return "<TR>" + "".join(f"<TD>{cell}</TD>" for cell in cells if cell) + "</TR>"


def _small(text: str) -> str:
    return f'<FONT POINT-SIZE="11" COLOR="{PALE}">{escape(text)}</FONT>'


# --- cables --------------------------------------------------------------------------------------------------------------------


def _cable(branch: Branch, *, chain: bool) -> str:
    leaves, enters = ("e", "w") if chain or branch.sideways else ("s", "n")
    near = f"{_quoted(branch.near.name)}:{_port_id(branch.near_end.interface)}:{leaves}"
    far = f"{_quoted(branch.far.name)}:{_port_id(branch.far_end.interface)}:{enters}"
    line = f"{near} -- {far}"
    same = f"{{rank=same; {_quoted(branch.near.name)}; {_quoted(branch.far.name)}}} "
    return same + line if branch.sideways else line


def _port_id(interface: str) -> str:
    return "p_" + re.sub(r"[^a-z0-9]", "_", interface)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


# --- symbols in the finished SVG -------------------------------------------------------------------------------------------------


def marker_of(kind: str) -> str:
    """A colour next to white that stands for a kind in graphviz's output."""
    kinds = list(SYMBOLS)
    return f"#fffff{kinds.index(kind) if kind in kinds else 0:x}"


def put_symbols(svg: str) -> str:
    """The SVG with each marked field replaced by the symbol of its kind."""
    kinds = {marker_of(kind): kind for kind in SYMBOLS}
    return re.sub(r'<polygon fill="(#fffff[0-9a-e])"[^>]*points="([^"]+)"/>', lambda found: _placed(kinds[found[1]], found[2]), svg)


def _placed(kind: str, points: str) -> str:
    corners = [tuple(map(float, point.split(","))) for point in points.split()]
    left, top = min(corner[0] for corner in corners), min(corner[1] for corner in corners)
    return f'<g transform="translate({left:g},{top:g})">{symbol_of(kind)}</g>'

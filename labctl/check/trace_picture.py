"""A trace as data and as SVG: the nodes as lanes, the packet as an arrow on each cable, what changed on it set off. Pure.

Owns their shapes. The table for the terminal is the door's.
"""

from collections.abc import Sequence
from html import escape
from typing import Any

from labctl.check.decoding import RST
from labctl.check.tracing import FACTS_JA, Hop, Trace
from labctl.check.wording import both
from labctl.lab.model import Text

FONT = "Noto Sans CJK JP, Noto Sans, DejaVu Sans, sans-serif"
MONO = "DejaVu Sans Mono, Noto Sans Mono, monospace"
INK, PALE, LINE, CHANGED = "#1a202c", "#4a5568", "#cbd5e0", "#c2410c"
COLOURS = {"there": "#1d5fa8", "back": "#2f7a3d", "error": "#b02a37"}
LANE, LEFT, TOP, ROW = 330, 175, 120, 70


def ending(trace: Trace) -> Text:
    """What became of the packet, in one sentence."""
    if trace.answered:
        return both("answered", "応答があった")
    if not trace.hops and trace.by == "http":
        return both(
            f"no request was sent ({trace.said}); tcp/80 follows the connection",
            f"要求は送られていない（{trace.said}）。tcp/80 で接続を追える",
        )
    if not trace.hops:
        return both(f"it never left {trace.source} ({trace.said})", f"{trace.source} から出ていない（{trace.said}）")
    if any(hop.way == "error" for hop in trace.hops):
        hop = next(hop for hop in trace.hops if hop.way == "error")
        sender = _node(hop.sender)
        return both(f"refused by {sender}: {hop.packet.info}", f"{sender} に拒否された: {hop.packet.info}")
    if back := [hop for hop in trace.hops if hop.way == "back"]:
        return _returned(trace, back)
    last = trace.last
    receiver = _node(last.receiver) if last else trace.source
    return both(f"no answer: it reached {receiver} and went no further", f"応答なし: {receiver} に届き、その先へは進まなかった")


def _returned(trace: Trace, back: Sequence[Hop]) -> Text:
    """An answer was sent, and yet the node calls it none: it is a refusal, or it was lost on its way."""
    first, reached = _node(back[0].sender), _node(back[-1].receiver)
    if reached == trace.source and any(hop.packet.flags & RST for hop in back):
        return both(f"refused: {first} answered with a reset (RST)", f"拒否: {first} がリセット（RST）を返した")
    if reached == trace.source:
        return both(f"the answer of {first} came back too late or to no effect", f"{first} の応答は戻ったが、間に合わないか無効だった")
    return both(f"the answer of {first} was lost behind {reached}", f"{first} の応答は {reached} の先で失われた")


def _node(end: str) -> str:
    return end.partition(":")[0]


def changed_words(hop: Hop, language: str = "en") -> str:
    """`both MACs, TTL`."""
    return ", ".join(FACTS_JA[fact] if language == "ja" else fact for fact in hop.changed)


def addresses_of(hop: Hop) -> tuple[str, str]:
    """Source and destination with their ports."""
    one = hop.packet
    pairs = zip(one.address, one.port, strict=True)
    source, destination = (_joined(address, port) for address, port in pairs)
    return source, destination


def _joined(address: str, port: str) -> str:
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def trace_json(trace: Trace) -> dict[str, Any]:
    said = ending(trace)
    return {
        "from": trace.source,
        "to": trace.target,
        "address": trace.address,
        "by": trace.by,
        "answered": trace.answered,
        "ending": {"en": said.en, "ja": said.in_language("ja")},
        "hops": [
            {
                "at_ms": round(hop.at_s * 1000, 3),
                "from": hop.sender,
                "to": hop.receiver,
                "way": hop.way,
                "mac": list(hop.packet.mac),
                "vlan": int(hop.packet.vlan) if hop.packet.vlan else None,
                "address": list(hop.packet.address),
                "port": [int(port) for port in hop.packet.port] if all(hop.packet.port) else None,
                "ttl": int(hop.packet.ttl) if hop.packet.ttl else None,
                "changed": list(hop.changed),
                "info": hop.packet.info,
            }
            for hop in trace.hops
        ],
    }


# --- SVG -----------------------------------------------------------------------------------------------------------------------


def render_svg(trace: Trace, language: str = "en") -> str:
    """Good enough for a slide."""
    lanes = {node: LEFT + LANE * place for place, node in enumerate(trace.nodes)}
    width, height = LEFT * 2 + LANE * (len(lanes) - 1), TOP + ROW * len(trace.hops) + 40
    title = f"{trace.source} → {trace.target}  {trace.by}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="{FONT}" fill="{INK}">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="24" y="36" font-size="20" font-weight="bold">{escape(title)}</text>',
        f'<text x="24" y="62" font-size="15" fill="{PALE}">{escape(ending(trace).in_language(language))}</text>',
    ]
    for node, x in lanes.items():
        parts.append(f'<path d="M{x} {TOP - 12}V{height - 20}" stroke="{LINE}" stroke-width="2"/>')
        parts.append(f'<rect x="{x - 55}" y="{TOP - 40}" width="110" height="28" rx="6" fill="#edf2f7" stroke="{PALE}"/>')
        parts.append(f'<text x="{x}" y="{TOP - 21}" font-size="15" font-weight="bold" text-anchor="middle">{escape(node)}</text>')
    for row, hop in enumerate(trace.hops):
        parts += _arrow(hop, lanes, TOP + ROW * row + 30)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _arrow(hop: Hop, lanes: dict[str, int], y: int) -> Sequence[str]:
    start, end = lanes[hop.sender.partition(":")[0]], lanes[hop.receiver.partition(":")[0]]
    colour, step = COLOURS[hop.way], 9 if end > start else -9
    middle = (start + end) // 2
    line = f'<path d="M{start} {y}H{end - step}" stroke="{colour}" stroke-width="2.2"/>'
    head = f'<path d="M{end} {y}l{-step} -5v10z" fill="{colour}"/>'
    return (line, head, *_ports(hop, start, end, y), _layer(_network(hop), middle, y - 9), _layer(_link(hop), middle, y + 17))


def _ports(hop: Hop, start: int, end: int, y: int) -> Sequence[str]:
    """The interfaces' names at the two ends of the arrow, on the arrow's own line."""
    names = ((start, end > start, hop.sender), (end, end < start, hop.receiver))
    style = f'font-size="11" fill="{PALE}"'
    return tuple(
        f'<text x="{x + (4 if right else -4)}" y="{y - 22}" {style} text-anchor="{"start" if right else "end"}">'
        f"{escape(name.partition(':')[2])}</text>"
        for x, right, name in names
    )


Piece = tuple[str, bool]  # words, and whether they changed


def _network(hop: Hop) -> list[Piece]:
    one, changed = hop.packet, hop.changed
    pieces = [(one.address[0], "source address" in changed)]
    pieces += [(f":{one.port[0]}", "source port" in changed)] if one.port[0] else []
    pieces += [(" → ", False), (one.address[1], "destination address" in changed)]
    pieces += [(f":{one.port[1]}", "destination port" in changed)] if one.port[1] else []
    return [*pieces, (f"  TTL {one.ttl}", "TTL" in changed)]


def _link(hop: Hop) -> list[Piece]:
    one, changed = hop.packet, hop.changed
    pieces = [(one.mac[0], "source MAC" in changed), (" → ", False), (one.mac[1], "destination MAC" in changed)]
    return [*pieces, (f"  VLAN {one.vlan}" if one.vlan else "", "VLAN" in changed)]


def _layer(pieces: Sequence[Piece], x: int, y: int) -> str:
    spans = "".join(
        f'<tspan fill="{CHANGED}" font-weight="bold">{escape(words)}</tspan>' if changed else escape(words) for words, changed in pieces
    )
    return f'<text x="{x}" y="{y}" font-size="11.5" font-family="{MONO}" text-anchor="middle" xml:space="preserve">{spans}</text>'

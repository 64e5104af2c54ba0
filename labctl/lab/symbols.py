"""The symbols of a picture: one small SVG drawing for each kind of role, and for some roles one of their own, on 56 × 40.

Owns shapes and colours only. `lab/dot.py` says where they go in a picture. Shapes tell the kinds apart, colours only help: a
picture printed in grey must still be read.
"""

WIDTH, HEIGHT = 56, 40

_END, _SWITCHING, _ROUTING, _SERVING, _GUARDING = "#4a5568", "#1d5fa8", "#b4540a", "#2f7a3d", "#b02a37"
_BOX = '<rect x="3" y="6" width="50" height="28" rx="4"/>'


def _drawing(colour: str, tint: str, *parts: str) -> str:
    style = f'stroke="{colour}" fill="{tint}" stroke-width="2" stroke-linejoin="round" stroke-linecap="round"'
    return f"<g {style}>{''.join(parts)}</g>"


def _line(path: str) -> str:
    return f'<path d="{path}" fill="none"/>'


def _arrow(colour: str, line: str, head: str) -> str:
    return _line(line) + f'<path d="{head}" stroke="none" fill="{colour}"/>'


def _boxes(*places: tuple[int, int], width: int, height: int, round_: int = 0) -> str:
    return "".join(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{round_}"/>' for x, y in places)


def _lamps(colour: str, *places: tuple[int, int]) -> str:
    return f'<g fill="{colour}" stroke="none">' + "".join(f'<circle cx="{x}" cy="{y}" r="1.8"/>' for x, y in places) + "</g>"


SYMBOLS: dict[str, str] = {
    "host": _drawing(_END, "#eef1f5", _boxes((8, 3), width=40, height=26, round_=3), _line("M28 29v6M18 36h20M14 23h28")),
    "server": _drawing(
        _SERVING,
        "#e9f5ec",
        _boxes((15, 2), width=26, height=36, round_=3),
        _line("M15 14h26M15 26h26M20 8h10M20 20h10M20 32h10"),
        _lamps(_SERVING, (36, 8), (36, 20), (36, 32)),
    ),
    "switch": _drawing(
        _SWITCHING,
        "#e6f0fb",
        _BOX,
        _arrow(_SWITCHING, "M12 15h26", "M36 10.5l8 4.5-8 4.5z"),
        _arrow(_SWITCHING, "M44 25H18", "M20 20.5l-8 4.5 8 4.5z"),
    ),
    "hub": _drawing(
        _SWITCHING,
        "#f3f7fc",
        _BOX,
        '<circle cx="15" cy="20" r="3"/>',
        _arrow(_SWITCHING, "M18 20h20", "M37 16l8 4-8 4z"),
        _arrow(_SWITCHING, "M18 19l17-6", "M33 9.5l9 1-6 6.5z"),
        _arrow(_SWITCHING, "M18 21l17 6", "M33 30.5l9-1-6-6.5z"),
    ),
    "repeater": _drawing(_SWITCHING, "#f3f7fc", _BOX, _line("M9 20h10M37 20h10"), '<path d="M19 11l18 9-18 9z" fill="#fff"/>'),
    "bridge": _drawing(_SWITCHING, "#e6f0fb", _BOX, _line("M9 28h38M14 28V16M42 28V16M14 19q14-10 28 0M22 28V16M34 28V16")),
    "router": _drawing(
        _ROUTING,
        "#fdf0e4",
        '<circle cx="28" cy="20" r="18"/>',
        _arrow(_ROUTING, "M14 20h6", "M19 16l7 4-7 4z"),
        _arrow(_ROUTING, "M42 20h-6", "M37 16l-7 4 7 4z"),
        _arrow(_ROUTING, "M28 16v-5", "M24 11l4-7 4 7z"),
        _arrow(_ROUTING, "M28 24v5", "M24 29l4 7 4-7z"),
    ),
    "firewall": _drawing(
        _GUARDING,
        "#fdecee",
        _boxes((8, 3), width=40, height=34, round_=1),
        _line("M8 11.5h40M8 20h40M8 28.5h40M20 3v8.5M36 3v8.5M14 11.5V20M28 11.5V20M42 11.5V20"),
        _line("M20 20v8.5M36 20v8.5M14 28.5V37M28 28.5V37M42 28.5V37"),
    ),
    "container-host": _drawing(
        _SERVING,
        "#e9f5ec",
        '<path d="M4 25h48q-3 12-14 12H18Q7 37 4 25z"/>',
        _boxes((11, 15), (21, 15), (31, 15), (21, 5), width=10, height=10),
    ),
    "hypervisor": _drawing(
        _SERVING,
        "#e9f5ec",
        _boxes((4, 27), width=48, height=10, round_=2),
        _boxes((4, 3), (30, 3), width=22, height=20, round_=2),
        _line("M9 17h12M35 17h12M10 32h8"),
    ),
}


OF_ROLES: dict[str, str] = {
    "l3-switch": _drawing(
        _ROUTING,
        "#e6f0fb",
        _BOX,
        _arrow(_SWITCHING, "M20 13H11", "M13 9l-7 4 7 4z"),
        _arrow(_SWITCHING, "M36 27h9", "M43 23l7 4-7 4z"),
        '<circle cx="28" cy="20" r="9" fill="#fdf0e4"/>',
        _line("M23 20h10M28 15v10"),
    ),
    "nat": _drawing(
        _ROUTING,
        "#fdf0e4",
        '<circle cx="28" cy="20" r="18"/>',
        '<path d="M28 5v30" fill="none" stroke-dasharray="3 4"/>',
        _arrow(_ROUTING, "M14 15h22", "M34 11l8 4-8 4z"),
        _arrow(_ROUTING, "M42 26H20", "M22 22l-8 4 8 4z"),
    ),
    "proxy": _drawing(
        _GUARDING,
        "#fdecee",
        _boxes((18, 3), width=20, height=34, round_=3),
        _line("M23 10h10M23 30h10"),
        _arrow(_GUARDING, "M3 20h8", "M10 16l7 4-7 4z"),
        _arrow(_GUARDING, "M39 20h8", "M46 16l7 4-7 4z"),
        _lamps(_GUARDING, (28, 20)),
    ),
    "database": _drawing(
        _SERVING,
        "#e9f5ec",
        '<path d="M12 8v24q0 5 16 5t16-5V8"/>',
        '<ellipse cx="28" cy="8" rx="16" ry="5"/>',
        _line("M12 16q0 5 16 5t16-5M12 24q0 5 16 5t16-5"),
    ),
    "monitoring": _drawing(
        _SERVING, "#e9f5ec", _boxes((6, 3), width=44, height=30, round_=3), _line("M28 33v5M18 38h20M11 19h8l4-9 7 17 4-8h11")
    ),
}
SYMBOLS |= OF_ROLES


def symbol_name(role: str, kind: str) -> str:
    """The drawing of a role's own, else its kind's."""
    return role if role in OF_ROLES else kind


def symbol_of(name: str) -> str:
    """The drawing of that name, one `<g>`."""
    return SYMBOLS[name]

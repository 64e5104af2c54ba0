"""A scenario's run as a picture: strips of probes over the time, moments marked on them. For the terminal, as SVG, as data. Pure."""

from collections.abc import Sequence
from html import escape
from typing import Any

from labctl.check.probes import ProbeRecord, ScenarioRun
from labctl.check.report import text_json

COLUMNS = 60
ALL, SOME, NOTHING, UNKNOWN = "█", "▒", "·", " "


def run_json(run: ScenarioRun) -> dict[str, Any]:
    """The run as data; times in seconds since its beginning."""
    return {
        "scenario": run.name,
        "says": text_json(run.says),
        "seconds": run.end_s,
        "events": [
            {
                "at_s": one.at_s,
                "began_s": round(one.began_s, 2),
                "done_s": round(one.done_s, 2),
                "says": text_json(one.says),
                "error": text_json(one.trouble) if one.trouble else None,
            }
            for one in run.happenings
        ],
        "probes": [_probe_json(record) for record in run.probes],
    }


def _probe_json(record: ProbeRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "says": record.words,
        "every_s": record.every_s,
        "sent": len(record.samples),
        "answered": record.answered,
        "loss_percent": round(record.loss_percent, 2),
        "longest_gap_s": round(record.longest_gap_s, 2),
        "gaps": [{"from_s": round(gap.from_s, 2), "to_s": round(gap.to_s, 2)} for gap in record.gaps],
        "samples": [
            {"sent_s": round(one.sent_s, 3), "round_trip_ms": None if one.round_trip_ms is None else round(one.round_trip_ms, 1)}
            for one in record.samples
        ],
    }


# --- terminal ------------------------------------------------------------------------------------------------------------------


def render_timeline(run: ScenarioRun, language: str = "en") -> str:
    """Strips, a scale and the list of moments, for a terminal of 80 columns."""
    step_s = run.end_s / COLUMNS
    lines = [f"{run.name}  {run.says.in_language(language)}", ""]
    for record in run.probes:
        strip = "".join(_cell(record.within(place * step_s, (place + 1) * step_s)) for place in range(COLUMNS))
        lines += [record.words, f"  {strip}  {_figures(record, language)}"]
    marks = [" "] * (COLUMNS + 1)
    for number, one in enumerate(run.happenings, 1):
        marks[min(COLUMNS - 1, int(one.began_s / step_s))] = _mark(number)
    lines += ["  " + "".join(marks).rstrip(), "  " + _scale(run.end_s), ""]
    for number, one in enumerate(run.happenings, 1):
        lines.append(f"  {_mark(number)} {one.began_s:5.1f} s  {one.says.in_language(language)}")
        lines += [f"             {one.trouble.in_language(language)}"] if one.trouble else []
    for record in run.probes:
        for gap in record.gaps:
            words = f"{record.words}: {gap.seconds:.1f} s " + ("without an answer" if language == "en" else "無応答")
            lines.append(f"    {gap.from_s:5.1f} s … {gap.to_s:.1f} s  {words}")
    return "\n".join(lines).rstrip() + "\n"


def _cell(part: ProbeRecord) -> str:
    if not part.samples:
        return UNKNOWN
    return ALL if part.answered == len(part.samples) else SOME if part.answered else NOTHING


def _figures(record: ProbeRecord, language: str) -> str:
    counts = f"{record.answered}/{len(record.samples)}"
    if language == "ja":
        return f"{counts}、最長の無応答 {record.longest_gap_s:.1f} 秒"
    return f"{counts}, longest gap {record.longest_gap_s:.1f} s"


def _mark(number: int) -> str:
    return "123456789abcdefghijklmnopqrstuvwxyz"[(number - 1) % 35]


def _scale(end_s: float) -> str:
    """`0         10        20 s`: a label every tenth of the strip, and the end."""
    cells = [" "] * (COLUMNS + 8)
    for place in range(0, COLUMNS + 1, 10):
        for offset, letter in enumerate(f"{end_s * place / COLUMNS:.3g}" + (" s" if place == COLUMNS else "")):
            cells[place + offset] = letter
    return "".join(cells).rstrip()


# --- SVG -----------------------------------------------------------------------------------------------------------------------

FONT = "Noto Sans CJK JP, Noto Sans, DejaVu Sans, sans-serif"
INK, PALE, GOOD, BAD, FAULT = "#1a202c", "#4a5568", "#2f7a3d", "#c53030", "#b4540a"
LEFT, WIDE, STRIP, ROW = 40, 820, 22, 64
TOP = 66


def render_svg(run: ScenarioRun, language: str = "en") -> str:
    """Good enough for a slide: a strip for each probe (green answered, red lost), moments as numbered lines, their words below."""
    bottom = TOP + ROW * len(run.probes)
    height = bottom + 56 + 22 * len(run.happenings)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT * 2 + WIDE}" height="{height}" font-family="{FONT}" fill="{INK}">',
        f'<rect width="{LEFT * 2 + WIDE}" height="{height}" fill="white"/>',
        _text(LEFT, 34, f"{run.name}  {run.says.in_language(language) if run.says.en != run.name else ''}".strip(), 20, "bold"),
    ]
    for row, record in enumerate(run.probes):
        parts += _svg_probe(record, run.end_s, TOP + ROW * row, language)
    parts += _svg_axis(run.end_s, bottom)
    parts += _svg_moments(run, bottom, language)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _x(at_s: float, end_s: float) -> float:
    return LEFT + WIDE * min(1.0, max(0.0, at_s / end_s))


def _svg_probe(record: ProbeRecord, end_s: float, top: int, language: str) -> list[str]:
    parts = [_text(LEFT, top + 14, record.words, 15), _text(LEFT + WIDE, top + 14, _figures(record, language), 14, anchor="end")]
    width = max(1.0, WIDE * record.every_s / end_s)
    for good, group in ((True, GOOD), (False, BAD)):
        ticks = [_x(one.sent_s, end_s) for one in record.samples if (one.answered_s is not None) is good]
        shapes = "".join(_box(x, top + 22, min(width, LEFT + WIDE - x)) for x in ticks)
        parts += [f'<path d="{shapes}" fill="{group}"/>'] if shapes else []
    parts.append(f'<rect x="{LEFT}" y="{top + 22}" width="{WIDE}" height="{STRIP}" fill="none" stroke="{PALE}"/>')
    for gap in record.gaps:
        middle = (_x(gap.from_s, end_s) + _x(gap.to_s, end_s)) / 2
        if _x(gap.to_s, end_s) - _x(gap.from_s, end_s) > 44:
            parts.append(_text(middle, top + 38, f"{gap.seconds:.1f} s", 14, "bold", "middle", "white"))
    return parts


def _box(x: float, y: int, width: float) -> str:
    return f"M{x:.1f} {y}h{width:.1f}v{STRIP}h-{width:.1f}z"


def _svg_axis(end_s: float, bottom: int) -> list[str]:
    step_s = next((step for step in (1, 2, 5, 10, 20, 30, 60, 120) if end_s / step <= 12), 120)
    labels = [number * step_s for number in range(int(end_s // step_s) + 1)]
    ticks = "".join(f"M{_x(at_s, end_s):.1f} {bottom}v5" for at_s in labels)
    axis = f'<path d="M{LEFT} {bottom}h{WIDE}{ticks}" stroke="{PALE}" fill="none"/>'
    return [axis, *(_text(_x(at_s, end_s), bottom + 20, f"{at_s} s", 13, anchor="middle", colour=PALE) for at_s in labels)]


def _svg_moments(run: ScenarioRun, bottom: int, language: str) -> list[str]:
    parts = []
    for number, one in enumerate(run.happenings, 1):
        x, y = _x(one.began_s, run.end_s), bottom + 48 + 22 * (number - 1)
        parts.append(f'<path d="M{x:.1f} {TOP - 6}V{bottom}" stroke="{FAULT}" stroke-dasharray="4 3" stroke-width="1.5"/>')
        parts += _numbered(x, TOP - 14, number)
        parts += [*_numbered(LEFT + 9, y - 5, number), _text(LEFT + 26, y, f"{one.began_s:.1f} s  {one.says.in_language(language)}", 15)]
    return parts


def _numbered(x: float, y: float, number: int) -> Sequence[str]:
    return f'<circle cx="{x:.1f}" cy="{y}" r="9" fill="{FAULT}"/>', _text(x, y + 4, str(number), 12, "bold", "middle", "white")


def _text(x: float, y: float, words: str, size: int, weight: str = "normal", anchor: str = "start", colour: str = INK) -> str:
    about = f'font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="{colour}"'
    return f'<text x="{x:.1f}" y="{y}" {about} xml:space="preserve">{escape(words)}</text>'

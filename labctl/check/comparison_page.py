"""The report of a comparison as a page: HTML for a browser, Markdown for documents, and the ratios as a picture (SVG).

Owns what is said about figures beside the figures: what they are ratios to, and what nobody may conclude from emulated ones. The looks are
`templates/compare/`.
"""

import math
from dataclasses import dataclass
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from labctl.check.comparing import Figures, in_words
from labctl.lab import data
from labctl.lab.comparison import Kind, Measure
from labctl.lab.values import Text

# Told apart by the colour-blind too (Okabe and Ito).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442")
LEAST, MOST = 0.01, 100.0  # of the picture's logarithmic scale


@dataclass(frozen=True)
class Bar:
    """One ratio in the picture: its place from 0 (LEAST) to 1 (MOST)."""

    kind: str
    colour: str
    place: float
    words: str
    published: float | None


def render_html(figures: Figures, language: str) -> str:
    """A page of its own: no file beside it, no script, readable on a phone."""
    picture = Markup(render_svg(figures, language))  # noqa: S704 - made here
    return _render("page.html.j2", **_words(figures, language), picture=picture)


def render_markdown(figures: Figures, language: str, picture: str) -> str:
    """The same for a document; `picture` is the name of the SVG beside it."""
    return _render("page.md.j2", **_words(figures, language), picture=picture)


def render_svg(figures: Figures, language: str) -> str:
    """Ratios to native on a logarithmic scale: to the right of 1 is more."""
    rows = [
        {"title": measure.title.in_language(language), "better": measure.better, "bars": bars}
        for measure in figures.measures
        if (bars := _bars(figures, measure, language))
    ]
    ticks = [(_place(value), f"{value:g}") for value in (0.01, 0.1, 1, 10, 100)]
    return _render("ratios.svg.j2", rows=rows, ticks=ticks, legend=_legend(figures, language), language=language)


def _bars(figures: Figures, measure: Measure, language: str) -> list[Bar]:
    bars = []
    for kind, colour in _drawn(figures):
        ratio = figures.ratio_to_other(measure.id, kind)
        if ratio is not None and ratio > 0:
            published = figures.published(measure.id, kind.id)
            bars.append(
                Bar(
                    kind.title.in_language(language),
                    colour,
                    _place(ratio),
                    ratio_words(ratio),
                    None if published is None else _place(published),
                )
            )
    return bars


def _legend(figures: Figures, language: str) -> list[tuple[str, str]]:
    return [(kind.title.in_language(language), colour) for kind, colour in _drawn(figures)]


def _drawn(figures: Figures) -> list[tuple[Kind, str]]:
    """The kinds that have bars, each with its colour: all that are compared with another and have a figure."""
    compared = [kind for kind in figures.kinds if any(figures.ratio_to_other(one.id, kind) for one in figures.measures)]
    return list(zip(compared, cycle(COLOURS), strict=False))


def _place(ratio: float) -> float:
    bounded = min(max(ratio, LEAST), MOST)
    return math.log(bounded / LEAST) / math.log(MOST / LEAST)


def ratio_words(ratio: float) -> str:
    return f"×{in_words(ratio)}"


def cell_words(figures: Figures, measure: Measure, kind: Kind, language: str) -> str:
    """`20.1 s ×21`, or why there is nothing."""
    median = figures.median(measure.id, kind.id)
    if median is None:
        return figures.why_missing_in(language, measure.id, kind)
    ratio = figures.ratio_to_other(measure.id, kind)
    return in_words(median) + (f" {ratio_words(ratio)}" if ratio is not None else "")


def caution(figures: Figures) -> Text:
    """What nobody may conclude from these figures."""
    if figures.surroundings.accelerator == "kvm":
        return Text(
            en="The nodes run under KVM, so a machine within them is nested: it costs more than one on bare metal.",
            ja="ノードは KVM の上で動いている。その中の仮想マシンは入れ子（ネスト）になるので、実機の上より遅い。",
        )
    return Text(
        en=(
            "The nodes themselves are emulated. A guest's own memory accesses and every change into it and out of it are emulated too, "
            "which a processor does in hardware: columns of machines are slower here than on any real host. What this run says about "
            "hosted and hypervisor virtualisation is the order of things and whose kernel it is, not what they cost; the published "
            "ratios say that."
        ),
        ja=(
            "ノードそのものがエミュレーションで動いている。ゲストのメモリアクセスや、ゲストとの切り替えは、本来は CPU がハードウェアで"
            "行うものだが、ここではそれもエミュレーションになる。そのため、仮想マシンの列は、どんな実機よりも遅い。この結果から言えるのは、"
            "方式どうしの大小の順と、カーネルの持ち主であって、ホスト型やハイパーバイザー型のコストではない。コストは、文献の比を見ること。"
        ),
    )


def _words(figures: Figures, language: str) -> dict[str, Any]:
    """What the templates are filled with; every text is in the language."""
    around = figures.surroundings
    rows = []
    for measure in figures.measures:
        cells = []
        for kind in figures.kinds:
            spread = figures.spread(measure.id, kind.id)
            ratio = figures.ratio_to_other(measure.id, kind)
            median = figures.median(measure.id, kind.id)
            published = figures.published(measure.id, kind.id)
            cells.append(
                {
                    "value": "" if median is None else in_words(median),
                    "ratio": "" if ratio is None else ratio_words(ratio),
                    "spread": "" if spread is None else f"{in_words(spread[0])} – {in_words(spread[1])}",
                    "runs": len(figures.samples.get((measure.id, kind.id), [])),
                    "missing": "" if median is not None else figures.why_missing_in(language, measure.id, kind),
                    "published": "" if published is None else ratio_words(published),
                }
            )
        rows.append(
            {
                "title": measure.title.in_language(language),
                "unit": measure.unit,
                "tool": measure.tool,
                "cells": cells,
            }
        )
    questions = [
        {
            "title": question.title.in_language(language),
            "answers": [figures.answers.get((question.id, kind.id)) or "–" for kind in figures.kinds],
        }
        for question in figures.comparison.questions
        if any((question.id, kind.id) in figures.answers for kind in figures.kinds)
    ]
    return {
        "language": language,
        "ja": language == "ja",
        "kinds": [{"title": kind.title.in_language(language), "says": kind.says.in_language(language)} for kind in figures.kinds],
        "rows": rows,
        "questions": questions,
        "around": around,
        "quick": figures.quick,
        "minutes": round(figures.seconds / 60, 1),
        "caution": caution(figures).in_language(language),
        "remarks": [text.in_language(language) for text in figures.comparison.remarks],
        "source": figures.comparison.source.in_language(language),
        "published": _published_words(figures, language),
    }


def _published_words(figures: Figures, language: str) -> list[dict[str, str]]:
    """Of each published ratio beside a cell of this report: which one, and what was measured."""
    measures, kinds = {one.id: one for one in figures.measures}, {one.id: one for one in figures.kinds}
    return [
        {
            "title": f"{measures[one.measure].title.in_language(language)} · {kinds[one.kind].title.in_language(language)}",
            "ratio": ratio_words(one.ratio),
            "says": one.says.in_language(language),
        }
        for one in figures.comparison.published
        if one.measure in measures and one.kind in kinds
    ]


@cache
def _environment(directory: Path) -> Environment:
    return Environment(
        loader=FileSystemLoader(directory), autoescape=lambda name: not str(name).endswith(".md.j2"), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip


def _render(name: str, **words: Any) -> str:
    return _environment(data.TEMPLATES / "compare").get_template(name).render(**words)

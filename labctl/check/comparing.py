"""Figures of a comparison: samples of each measure in each kind, their median and spread, and the ratio to native. Pure."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from labctl.check.report import text_json
from labctl.check.texts import first_match
from labctl.lab.comparison import Comparison, Kind, Measure
from labctl.lab.values import Text

NOT_RUN = Text(en="not run", ja="測っていない")
OUT_OF_TIME = Text(en="not run: the time was up", ja="時間切れで、測っていない")
SHORT_RUN = Text(en="not in the short run", ja="短縮版では測らない")
SAYS_NOTHING = Text(en="says nothing here", ja="ここでは意味がない")


@dataclass(frozen=True)
class Surroundings:
    """Where it was measured. `nesting`: who does the work of the processor for a machine inside a node."""

    machine: str
    accelerator: str
    nesting: str
    versions: Mapping[str, str]
    date: str


@dataclass
class Figures:
    """What was measured. `missing`: why there is no figure; `answers`: of the questions."""

    comparison: Comparison
    surroundings: Surroundings
    samples: dict[tuple[str, str], list[float]] = field(default_factory=dict)  # (measure, kind) → in the measure's unit
    missing: dict[tuple[str, str], str] = field(default_factory=dict)
    answers: dict[tuple[str, str], str] = field(default_factory=dict)  # (question, kind) → what was printed
    measures: tuple[Measure, ...] = ()
    kinds: tuple[Kind, ...] = ()
    quick: bool = False
    seconds: float = 0.0

    def median(self, measure: str, kind: str) -> float | None:
        values = self.samples.get((measure, kind))
        return statistics.median(values) if values else None

    def spread(self, measure: str, kind: str) -> tuple[float, float] | None:
        """Least and greatest sample, where there is more than one."""
        values = self.samples.get((measure, kind), [])
        return (min(values), max(values)) if len(values) > 1 else None

    def ratio_to_other(self, measure: str, kind: Kind) -> float | None:
        """As `ratio`, and None for the yardstick itself: what a reader is shown."""
        return None if kind.yardstick else self.ratio(measure, kind)

    def ratio(self, measure: str, kind: Kind) -> float | None:
        """The median over that of the yardstick on the same node; None where either is missing, or zero."""
        yardstick = self.comparison.yardstick_of(kind)
        own, native = self.median(measure, kind.id), self.median(measure, yardstick.id) if yardstick else None
        return own / native if own is not None and native else None

    def why_missing(self, measure: str, kind: str) -> str:
        return self.missing.get((measure, kind), NOT_RUN.en)

    def why_missing_in(self, language: str, measure: str, kind: Kind) -> str:
        """As `why_missing`, for a reader: what a program said is as it was said, our own reasons are in the language."""
        why = self.why_missing(measure, kind.id)
        ours = (NOT_RUN, OUT_OF_TIME, SHORT_RUN, SAYS_NOTHING, *((kind.lacks,) if kind.lacks else ()))
        return next((one.in_language(language) for one in ours if one.en == why), why)

    def published(self, measure: str, kind: str) -> float | None:
        return next((one.ratio for one in self.comparison.published if (one.measure, one.kind) == (measure, kind)), None)


def figure_in(pattern: str, text: str) -> float:
    """The figure that a measure's expression finds in what was printed; ValueError, with the last words, where there is none."""
    found = first_match(pattern, text)
    try:
        value = float((found[1] or "").replace(",", "")) if found else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError((text.strip().splitlines() or ["nothing was printed"])[-1])
    return value


def in_words(value: float) -> str:
    """Three digits that count: `0.98`, `12.3`, `1,240`."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def figures_json(figures: Figures) -> dict[str, object]:
    """The whole run as data: every sample, and what is missing with its reason."""
    around = figures.surroundings
    return {
        "machine": around.machine,
        "accelerator": around.accelerator,
        "nesting": around.nesting,
        "versions": dict(around.versions),
        "date": around.date,
        "quick": figures.quick,
        "seconds": round(figures.seconds, 1),
        "kinds": [{"id": one.id, "title": text_json(one.title), "node": one.node, "yardstick": one.yardstick} for one in figures.kinds],
        "measures": [
            {
                "id": measure.id,
                "title": text_json(measure.title),
                "unit": measure.unit,
                "better": measure.better,
                "tool": measure.tool,
                "cells": [_cell(figures, measure, kind) for kind in figures.kinds],
            }
            for measure in figures.measures
        ],
        "questions": [
            {
                "id": question.id,
                "title": text_json(question.title),
                "answers": {kind.id: figures.answers.get((question.id, kind.id)) for kind in figures.kinds},
            }
            for question in figures.comparison.questions
        ],
    }


def _cell(figures: Figures, measure: Measure, kind: Kind) -> dict[str, object]:
    values: Sequence[float] = figures.samples.get((measure.id, kind.id), [])
    ratio = figures.ratio(measure.id, kind)
    return {
        "kind": kind.id,
        "median": figures.median(measure.id, kind.id),
        "samples": list(values),
        "ratio_to_native": None if ratio is None else round(ratio, 3),
        "published_ratio": figures.published(measure.id, kind.id),
        "missing": None if values else figures.why_missing(measure.id, kind.id),
    }

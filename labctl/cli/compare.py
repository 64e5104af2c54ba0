"""`compare`: the same work as a process, in a container and in virtual machines, measured side by side; table, JSON, page."""

from pathlib import Path
from typing import Annotated

import typer

from labctl.cli import complete
from labctl.cli.app import LESSON, verb
from labctl.cli.labs import try_to_write, write_file
from labctl.cli.options import JsonOption
from labctl.cli.progress import progress
from labctl.cli.prove import seconds_of
from labctl.cli.reader import LANGUAGES, Reader, duration

COMPARE_SHAPE = """{"machine": "…", "accelerator": "kvm", "nesting": "…", "versions": {}, "date": "2026-01-31",
  "quick": false, "seconds": 2400.0,
  "kinds": [{"id": "container", "title": {"en": "…", "ja": "…"}, "node": "host1", "yardstick": false}],
  "measures": [{"id": "start", "title": {"en": "…", "ja": "…"}, "unit": "s", "better": "less", "tool": "nginx",
    "cells": [{"kind": "container", "median": 0.6, "samples": [0.6], "ratio_to_native": 6.0, "published_ratio": null, "missing": null}]}],
  "questions": [{"id": "kernel", "title": {"en": "…", "ja": "…"}, "answers": {"container": "Linux 6.1.0"}}]}"""
DEFAULT_LAB = "virtualisation"


def _language_of(file: Path, reader: Reader) -> str:
    """Of a file named `report.ja.html`: Japanese; of one that names no language, the reader's."""
    named = file.with_suffix("").suffix.removeprefix(".")
    return named if named in LANGUAGES else reader.language


@verb(
    "compare",
    LESSON,
    "labctl compare --quick",
    "labctl compare --budget 45m --html report.html --html report.ja.html",
    "labctl compare --kind container --kind hosted --measure start --json",
    "labctl compare --continue monday.json --json >tuesday.json",
    shape=COMPARE_SHAPE,
)
def compare(
    reader: Reader,
    lab: Annotated[str, typer.Argument(metavar="LAB", help="A lab with a comparison.", autocompletion=complete.labs)] = DEFAULT_LAB,
    quick: Annotated[bool, typer.Option("--quick", help="One run of three measures: some minutes.")] = False,
    budget: Annotated[str, typer.Option("--budget", metavar="TIME", help="Begin no measure after so long.")] = "90m",
    kind: Annotated[list[str] | None, typer.Option("--kind", metavar="KIND", help="Only these: native, container, hosted …")] = None,
    measure: Annotated[list[str] | None, typer.Option("--measure", metavar="NAME", help="Only these: start, memory, cpu …")] = None,
    html: Annotated[
        list[Path] | None, typer.Option("--html", metavar="FILE", help="Write the report as a page with plots; NAME.ja.html in Japanese.")
    ] = None,
    markdown: Annotated[
        list[Path] | None,
        typer.Option("--markdown", metavar="FILE", help="Write it for a document, its plot beside it; NAME.ja.md in Japanese."),
    ] = None,
    continue_: Annotated[
        Path | None, typer.Option("--continue", metavar="FILE", help="Go on from an earlier run, its --json: what it measured counts.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the lab running afterwards.")] = False,
    json: JsonOption = False,
) -> None:
    """Compare hosted, hypervisor and container virtualisation: the same work in each, on this machine.

    All of it happens within nodes of a lab. Ratios are to a plain process on the same node; what could not be measured says why.
    """
    from labctl.check.comparing import figures_json
    from labctl.check.comparison_page import render_html, render_markdown, render_svg
    from labctl.engine.compare import CompareOptions
    from labctl.engine.compare import compare as run
    from labctl.lab.load import find_lab

    options = CompareOptions(quick, seconds_of(budget) or 0.0, tuple(kind or ()), tuple(measure or ()), keep, continue_)
    for file in (*(html or ()), *(markdown or ())):
        try_to_write(file)
    with progress(reader) as report:
        figures = run(find_lab(lab), options, report)
    for page in html or ():
        write_file(page, render_html(figures, _language_of(page, reader)))
        reader.remark(f"written: {page}")
    for document in markdown or ():
        picture = document.with_suffix(".svg")
        write_file(picture, render_svg(figures, _language_of(document, reader)))
        write_file(document, render_markdown(figures, _language_of(document, reader), picture.name))
        reader.remark(f"written: {document}, {picture}")
    if json:
        return reader.data(figures_json(figures))
    from labctl.check.comparison_page import caution, cell_words

    around = figures.surroundings
    reader.say(
        reader.choose(
            f"accelerator: {around.accelerator}; within the nodes: {around.nesting}",
            f"アクセラレーター: {around.accelerator}、ノードの中: {around.nesting}",
        )
    )
    rows = [
        (one.title.in_language(reader.language), one.unit, *(cell_words(figures, one, each, reader.language) for each in figures.kinds))
        for one in figures.measures
    ]
    reader.table(rows, heading=("", "", *(one.title.in_language(reader.language) for one in figures.kinds)))
    reader.say()
    for question in figures.comparison.questions:
        answers = [(one.title.in_language(reader.language), figures.answers.get((question.id, one.id), "")) for one in figures.kinds]
        if any(answer for _, answer in answers):
            reader.say(question.title.in_language(reader.language))
            reader.table(answers, indent="  ")
    reader.say(caution(figures).in_language(reader.language))
    return reader.say(duration(figures.seconds))

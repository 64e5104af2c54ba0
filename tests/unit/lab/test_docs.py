"""The generated pages are current, and the schema takes what the loader takes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from labctl.lab import data
from labctl.lab.docs import pages, write_pages
from labctl.lab.load import shipped_labs
from labctl.lab.schema import lab_schema
from labctl.lab.starter import new_lab_text
from labctl.lab.tree import core
from labctl.lab.yaml12 import parse_yaml

DOCS = data.data_directory() / "docs"
LONG = """
name: x
title: {en: x, ja: 題}
minutes: 45
nodes:
  pc1..pc2: host
  pc3: {role: host, memory: 512MiB, gateway: 10.0.0.1, macs: {eth1: 52:54:00:12:34:56}, files: {/a: 010, /b: {content: x, mode: 0644}}}
  own: {role: of-the-labs-own, anything: [1, 2]}
links:
  - pc1:eth1 -- own:port1
  - {ends: pc2:eth1 -- own:port2, vlan: 10}
addresses: {pc1: {eth1: 10.0.0.1/24, lo: [10.255.0.1/32, 10.255.0.2/32]}}
ready: {reach: pc1 -> 10.0.0.2}
variants: {v: {own: {anything: 5}}}
checks:
  - id: a
    proves: [3-3-4/hub]
    says: x
    before: {r1..r2: ls}
    do: [{pc1: ping, pc2: {run: ls, fails: true}}, {set: {own: {a: on}}}, {cut: pc1:eth1}, {power: {pc1: off}}, {pc1: 5}]
    see:
      - {wire: pc1:eth1, frames: 6, values: {tcp.srcport: [5000], ip.src: {distinct: {at_least: 2}}}}
      - {node: pc1, run: ls, contains: x, rows: {at_most: 3}, witness: true, equals: 1.10}
      - {output: pc1, lacks: [a, 5], json: {a: 1}}
    sabotage: [{pc1: ls}, {do: {cut: pc1:eth1}, undo: [{restore: pc1:eth1}], says: {en: x}, kills_all: because}]
    task: true
    solution: {pc1: ls}
"""


def read(text: str) -> Any:
    tree, faults = parse_yaml(text.encode(), "test")
    assert tree is not None
    assert not faults
    return core(tree.data())


def complaints(text: str) -> list[str]:
    errors: Iterator[Any] = Draft202012Validator(lab_schema()).iter_errors(read(text))
    return [f"{error.json_path}: {error.message}" for error in errors]


@pytest.mark.parametrize("name", pages())
def test_generated_pages_are_current(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == pages()[name], "stale: python -m labctl.lab.docs docs/"


def test_pages_are_written_where_one_says(tmp_path: Path) -> None:
    write_pages(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == set(pages())


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(lab_schema())


def test_the_schema_takes_short_forms_and_long_forms() -> None:
    assert complaints(LONG) == []


def test_the_schema_takes_the_shipped_labs_and_the_first_lab() -> None:
    for text in (*(file.read_text(encoding="utf-8") for file in shipped_labs()), new_lab_text("x")):
        assert complaints(text) == []


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("minutes: 45", "minutes: 0"),
        ("title: {en", "titel: {en"),
        ("frames: 6", "frames: -1"),
        ("witness: true", "witness: yes"),
        ("pc1..pc2: host", "pc1..pc2: {role: host, memry: 1GiB}"),
        ("{pc1: off}", "{pc1: maybe}"),
        ("proves: [3-3-4/hub]", "proves: [hub]"),
        ("id: a", "id: A b"),
    ],
)
def test_the_schema_refuses_what_is_wrong(good: str, bad: str) -> None:
    assert good in LONG
    assert complaints(LONG.replace(good, bad))

"""Writes the pages that are made from the model: `python -m labctl.lab.docs docs/`. A test tells when they are stale."""

import json
import sys
from pathlib import Path

from labctl.lab.reference import reference_markdown
from labctl.lab.schema import lab_schema

SCHEMA, REFERENCE = "lab.schema.json", "lab-schema.md"


def pages() -> dict[str, str]:
    """The generated files by name."""
    schema = json.dumps(lab_schema(), indent=1, ensure_ascii=False) + "\n"
    return {SCHEMA: schema, REFERENCE: reference_markdown()}


def write_pages(directory: Path) -> None:
    for name, text in pages().items():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))

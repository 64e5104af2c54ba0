"""The one table of `make stress`: each part writes its rows to one file, and this prints them.

python -m tests.stress.rows FILE         the file is named to the parts by LABCTL_STRESS_ROWS
"""

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """What was tried, how often, what was lost (0 is what is promised), and a remark."""

    part: str
    what: str
    tried: int
    lost: int
    remark: str = ""


def add_row(row: Row) -> None:
    """Append to the file of this run; to nothing if none is named."""
    if file := os.environ.get("LABCTL_STRESS_ROWS"):
        with Path(file).open("a") as rows:
            rows.write(json.dumps(asdict(row)) + "\n")


def read_rows(file: Path) -> list[Row]:
    return [Row(**json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []


def render(rows: list[Row]) -> str:
    """A Markdown table."""
    lines = ["| part | what was tried | times | lost | remark |", "|---|---|---|---|---|"]
    lines += [f"| {row.part} | {row.what} | {row.tried} | {row.lost} | {row.remark} |" for row in rows]
    return "\n".join(lines)


def main(file: Path) -> int:
    rows = read_rows(file)
    print(render(rows))
    return 1 if not rows or any(row.lost for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

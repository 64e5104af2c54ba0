"""Who reads what labctl prints: a person at a terminal, a pipe, a script. Owns language, colours, tables and where lines go.

Results go to standard output. Progress, remarks and complaints go to standard error, so that `--json` and pipes stay clean;
`--quiet` leaves out progress and remarks, never results. Whatever is said here is harmless to a terminal: guests and labs are
strangers', and the only escape sequences are the colours of this file.
"""

import json
import os
import re
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

from labctl.check.readable import harmless

COLOURS = {"green": "32", "red": "31", "yellow": "33", "blue": "34", "bold": "1", "dim": "2"}
OURS = re.compile("(\033\\[(?:0|" + "|".join(COLOURS.values()) + ")m)")
LANGUAGES = ("en", "ja")


@dataclass
class StepLog:
    """Steps that were reported: finished ones with their seconds, and those that are still open."""

    finished: list[tuple[str, str, float]] = field(default_factory=list)  # node, what, seconds
    open: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Reader:
    """How to speak to the one who called."""

    language: str = "en"
    quiet: bool = False
    debug: bool = False
    steps: StepLog = field(default_factory=StepLog)

    def say(self, text: str = "") -> None:
        print(safe(text))

    def remark(self, text: str) -> None:
        """A line beside the result: what was done, what to type next."""
        if not self.quiet:
            print(safe(text), file=sys.stderr)

    def complain(self, text: str) -> None:
        print(safe(text), file=sys.stderr)

    def data(self, value: Any) -> None:
        """The result for a program: JSON, readable by people too."""
        print(_escaped(json.dumps(value, indent=2, ensure_ascii=False, default=str)))

    def paint(self, text: str, colour: str) -> str:
        return f"\033[{COLOURS[colour]}m{text}\033[0m" if colours_on(sys.stdout) else text

    def table(self, rows: Sequence[Sequence[str]], *, heading: Sequence[str] = (), indent: str = "") -> None:
        for line in render_table(rows, heading=heading):
            print(safe(indent + line).rstrip())

    def choose(self, en: str, ja: str) -> str:
        return ja if self.language == "ja" and ja else en


def safe(text: str) -> str:
    """`text` with its own colours kept and all else made harmless."""
    return "".join(piece if place % 2 else harmless(piece) for place, piece in enumerate(OURS.split(text)))


def _escaped(data: str) -> str:
    """JSON whose texts hold no character that a terminal obeys: it is escaped, so the data is the same."""
    return "".join(letter if letter == "\n" or harmless(letter) == letter else f"\\u{ord(letter):04x}" for letter in data)


def colours_on(stream: TextIO) -> bool:
    """Colours only on a terminal that has them, and not where NO_COLOR asks for none (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


def language_of(wanted: str | None) -> str:
    """The language that is asked for, else the environment's as in locale(7), else English."""
    if wanted in LANGUAGES:
        return wanted
    value = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    return "ja" if value.startswith("ja") else "en"


def render_table(rows: Sequence[Sequence[str]], *, heading: Sequence[str] = ()) -> list[str]:
    """Lines with columns as wide as their widest word; wide characters count two."""
    lines = [list(heading), *map(list, rows)] if heading else [list(row) for row in rows]
    widths = [max(map(width_of, column)) for column in zip(*lines, strict=True)] if lines else []
    return ["  ".join(pad(word, width) for word, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def width_of(text: str) -> int:
    """Columns that `text` takes on a terminal; escape sequences take none."""
    plain, rest = "", text
    while "\033[" in rest:
        before, _, after = rest.partition("\033[")
        plain, rest = plain + before, after.partition("m")[2]
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in plain + rest if not unicodedata.combining(letter))


def pad(text: str, width: int) -> str:
    return text + " " * max(0, width - width_of(text))


def size(size_bytes: int) -> str:
    """`385 MB`: bytes for people, in powers of ten as disks are sold."""
    amount = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 999.5 or unit == "TB":
            return f"{amount:.0f} {unit}" if unit in ("B", "kB", "MB") else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError("not reached")


def duration(seconds: float) -> str:
    """`1.2 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"

"""`verify --watch`: which lesson holds, shown while a student works.

Owns the look: a list that is drawn anew on a terminal, a line for each change in a pipe, one JSON object a line with --json.
"""

import json as json_module
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from labctl.cli.reader import Reader, pad, safe

if TYPE_CHECKING:
    from labctl.check.verdict import CheckResult
    from labctl.lab.model import Check

MARKS = {"passed": ("✔", "green"), "failed": ("✘", "red"), "error": ("?", "yellow"), "open": ("○", "blue"), "": ("·", "dim")}
HOME, BELOW = "\033[H", "\033[J"
CLEAR = "\033[2J" + HOME


def show_watch(reader: Reader, results: "Iterator[CheckResult]", checks: "Sequence[Check]", *, json: bool) -> int:
    """Show results as they come, until Ctrl-C, which is the natural end."""
    known: dict[str, CheckResult] = {}
    drawn = sys.stdout.isatty() and not json
    if drawn:
        print(CLEAR + _page(reader, checks, known), end="", flush=True)
    with suppress(KeyboardInterrupt):
        for result in results:
            changed = result.id not in known or known[result.id].in_words != result.in_words
            known[result.id] = result
            if drawn:
                print(HOME + _page(reader, checks, known), end="", flush=True)
            elif changed:
                print(safe(_as_json(result) if json else _line(reader, result)), flush=True)
    return 0


def _page(reader: Reader, checks: "Sequence[Check]", known: "dict[str, CheckResult]") -> str:
    """All checks, with what is wrong with each that does not hold. Each line ends by wiping what stood there before."""
    width = max((len(check.id) for check in checks), default=0)
    lines = [reader.paint(reader.choose("which lesson holds (Ctrl-C ends)", "成り立っているもの（Ctrl-C で終了）"), "bold"), ""]
    for check in checks:
        result = known.get(check.id)
        mark = reader.paint(*MARKS[result.in_words if result else ""])
        lines.append(f"{mark} {pad(check.id, width)}  {check.says.in_language(reader.language)}")
        lines += [f"    {words}" for words in _wrong(reader, result)] if result else []
    return "".join(f"{safe(line)}\033[K\n" for line in lines) + BELOW


def _wrong(reader: Reader, result: "CheckResult") -> list[str]:
    if result.do_error is not None:
        return [result.do_error.in_language(reader.language)]
    red = (one for one in result.observations if not one.verdict.passed)
    return [f"{one.says.in_language(reader.language)}: {_first(one.verdict.seen.in_language(reader.language))}" for one in red]


def _first(text: str) -> str:
    line, _, more = text.partition("\n")
    return f"{line} …" if more else line


def _line(reader: Reader, result: "CheckResult") -> str:
    wrong = "; ".join(_wrong(reader, result))
    return f"{time.strftime('%H:%M:%S')}  {result.in_words:7} {result.id}" + (f"  {wrong}" if wrong else "")


def _as_json(result: "CheckResult") -> str:
    from labctl.check.report import check_json

    return json_module.dumps({"time": round(time.time(), 2), **check_json(result)}, ensure_ascii=False)

"""Expectations on a text: which of them do not hold. Pure.

Owns what `equals`, `contains`, `lacks`, `matches`, `rows` and `json` mean; the sentences about them are `check/wording.py`'s, the
verdict `check/judge.py`'s. A regular expression that cannot be read is a ValueError: then nothing is known about the text.
"""

import json
import re
import signal
import threading
import warnings
from types import FrameType
from typing import Any, NoReturn

from labctl.check.readable import one_line
from labctl.check.wording import both, pieces
from labctl.lab.model import Count, Text, TextExpectations

_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
_MISSING = object()
SEARCH_S = 5.0


def holds(count: Count, number: int) -> bool:
    return count == number if isinstance(count, int) else count.holds(number)


def unmet(expect: TextExpectations, text: str) -> list[Text]:
    """What is expected of `text` and not so, one sentence each; empty if all holds. ValueError: the expectation cannot be read."""
    complaints: list[Text] = []
    if expect.equals is not None and text.strip() != expect.equals.strip():
        complaints.append(both("the text is another", "出力が違う"))
    complaints += [_piece(piece, "not there", "ない") for piece in pieces(expect.contains) if piece not in text]
    complaints += [_piece(piece, "there", "ある") for piece in pieces(expect.lacks) if piece in text]
    if expect.matches is not None and first_match(expect.matches, text) is None:
        complaints.append(both("the expression is not found", "正規表現に合うところがない"))
    if expect.rows is not None and not holds(expect.rows, found := rows(text)):
        complaints.append(both(f"rows: {found}", f"行数: {found}"))
    return complaints + _json_unmet(expect.json_values or {}, text)


def expects_text(expect: TextExpectations) -> bool:
    """Whether anything at all is expected of the text."""
    given = (expect.equals, expect.contains, expect.lacks, expect.matches, expect.rows, expect.json_values)
    return any(value is not None for value in given)


def rows(text: str) -> int:
    """Lines that are not empty; of a JSON list, its length."""
    listed = _as_json(text) if text.lstrip().startswith("[") else None
    return len(listed) if isinstance(listed, list) else sum(bool(line.strip()) for line in text.splitlines())


def value_at(document: Any, path: str) -> Any:
    """The value at `a.b[0].c`; LookupError if there is none, ValueError if the path cannot be read."""
    if "".join(step[0] for step in _STEP.finditer(path)) != path.replace(".", ""):
        raise ValueError(f"`{path}` is no path; one is written a.b[0].c")
    value = document
    for number, key in _STEP.findall(path):
        try:
            value = value[int(number)] if number else value[key]
        except (TypeError, KeyError, IndexError):
            raise LookupError(path) from None
    return value


def _json_unmet(expected: dict[str, Any], text: str) -> list[Text]:
    if not expected:
        return []
    document = _as_json(text)
    if document is _MISSING:
        return [both("it is no JSON", "JSON ではない")]
    complaints = []
    for path, wanted in expected.items():
        try:
            found = value_at(document, path)
        except LookupError:
            complaints.append(both(f"{one_line(path)} is not there", f"{one_line(path)} がない"))
            continue
        if not _equal(found, wanted):
            value = one_line(json.dumps(found, ensure_ascii=False))
            complaints.append(both(f"{one_line(path)} = {value}", f"{one_line(path)} = {value}"))
    return complaints


def _equal(found: Any, wanted: Any) -> bool:
    """Equal as JSON: true is not 1."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(_equal, found, wanted))
    if isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(_equal(found[key], wanted[key]) for key in wanted)
    return bool(found == wanted)


def _as_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _MISSING


def _piece(piece: str, en: str, ja: str) -> Text:
    return both(f"“{one_line(piece)}” is {en}", f"「{one_line(piece)}」が{ja}")


def _pattern(expression: str) -> re.Pattern[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a later Python may read otherwise
            return re.compile(expression, re.MULTILINE)
    except (re.error, RecursionError, OverflowError) as wrong:
        raise ValueError(f"`{expression}` is no regular expression: {wrong}") from wrong


class _TooLong(Exception):
    pass


def first_match(expression: str, text: str) -> re.Match[str] | None:
    """Where a lab's expression is found; ValueError after SEARCH_S, since a stranger's may take longer than the world is old.

    A signal ends it, which only the main thread gets: there all texts are judged (wires, which are not, know no expressions).
    """
    pattern = _pattern(expression)
    if threading.current_thread() is not threading.main_thread():
        return pattern.search(text)

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise _TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SEARCH_S)
    try:
        return pattern.search(text)
    except _TooLong:
        raise ValueError(f"`{one_line(pattern.pattern, 80)}` takes longer than {SEARCH_S:g} s on this text") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

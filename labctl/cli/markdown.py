"""Guides on a terminal: Markdown rendered by Rich, Japanese with the line breaks that a Japanese reader expects.

Rich breaks lines at blanks only, and Japanese has none. So a mark that takes no room, and that Rich takes for a blank, is put
wherever a line may end (JIS X 4051: no full stop at a line's beginning, no opening bracket at its end), and taken out of the result.
"""

import pydoc
import re
import sys
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

from labctl.check.readable import harmless
from labctl.cli.reader import Reader, colours_on

MARK = "\x1f"  # unit separator: white space for Python, no column for Rich
WIDEST = 100
NEVER_FIRST = "、。，．・：；？！）］｝〕」』】〉》ーぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ々…‥"
NEVER_LAST = "（［｛〔「『【〈《"
_FENCE = re.compile(r"\s*(```|~~~)")
_BLOCK = re.compile(r"\s*([#>|+*-]|\d+[.)]\s|$)")
_CODE = re.compile(r"(`+[^`]*`+)")


def print_markdown(text: str, reader: Reader) -> None:
    """Rendered on a terminal; in a pipe as it was written, so that other programs can read it."""
    if not sys.stdout.isatty():
        reader.say(text.rstrip("\n"))
        return
    print(_rendered(text))  # Rich's own colours; the text was made harmless before


def page_markdown(text: str) -> None:
    """Rendered, in less, until it is left by q."""
    pydoc.pipepager(_rendered(text) + "\n", "less -R -~")


def _rendered(text: str) -> str:
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(no_color=not colours_on(sys.stdout))
    with console.capture() as captured:
        page = Markdown(with_marks(harmless(text)), hyperlinks=False, code_theme="ansi_dark", inline_code_theme="ansi_dark")
        console.print(page, width=min(console.width, WIDEST))
    return captured.get().replace(MARK, "").rstrip("\n")


def with_marks(text: str) -> str:
    """The text with a mark wherever a Japanese line may end; code is left alone, lines of one paragraph are joined without a blank."""
    return "".join(_marked(line) if prose else line for line, prose in _paragraph_lines(text))


def _paragraph_lines(text: str) -> Iterator[tuple[str, bool]]:
    """(line, whether it is prose). Lines that a Japanese paragraph goes on in come as one."""
    fenced, open_line = False, ""
    for line in text.splitlines(keepends=True):
        if _FENCE.match(line) or fenced:
            fenced = not fenced if _FENCE.match(line) else fenced
            yield from ((open_line, True), (line, False))
            open_line = ""
        elif open_line.rstrip("\n") and _joins(open_line, line):
            open_line = open_line.rstrip("\n") + line.lstrip()
        else:
            yield open_line, True
            open_line = line
    yield open_line, True


def _joins(before: str, line: str) -> bool:
    """A line goes on in the next where both are Japanese there, and the next begins nothing of its own."""
    body, rest = before.rstrip("\n"), line.lstrip()
    apart = _BLOCK.match(line) or body.startswith("#") or body.endswith(("  ", "\\", "|"))
    return not apart and _wide(body[-1]) and _wide(rest[0])


def _marked(line: str) -> str:
    pieces = _CODE.split(line)
    return "".join(piece if place % 2 else _mark(piece) for place, piece in enumerate(pieces))


def _mark(text: str) -> str:
    marked = []
    for here, after in pairwise(text + " "):
        may_end = (_wide(here) or _wide(after)) and here not in NEVER_LAST and after not in NEVER_FIRST
        ends_code = here in "*_~[]()" or after in "*_~[]()"  # marks of Markdown stay where they are
        marked.append(here + MARK if may_end and not ends_code and not here.isspace() and not after.isspace() else here)
    return "".join(marked)


def _wide(letter: str) -> bool:
    return unicodedata.east_asian_width(letter) in "WF"

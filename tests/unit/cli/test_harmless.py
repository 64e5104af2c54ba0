"""What guests and labs say cannot steer the terminal of whoever reads it: no escape sequence but our own colours gets out."""

import io
import json
import os
import pty
import re
import sys
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.cli.inside import _print_named, _print_raw
from labctl.cli.progress import progress
from labctl.cli.reader import COLOURS, Reader, safe
from labctl.engine.events import Event
from labctl.guest.agent import Completed

EVIL = "\x1b]0;title\x07\x1b[2J\x1b[?1049h\x9b31m\x1bP0;1|17/ab\x9c\u202egnp.exe\x7f\r\x08\x00\ud800\x1b[8mhidden"
ALLOWED = re.compile(rf"\x1b\[(0|{'|'.join(COLOURS.values())})m")
STEERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def steers(text: str) -> bool:
    return STEERS.search(ALLOWED.sub("", text)) is not None


SAYING: dict[str, Callable[[Reader], None]] = {
    "a result": lambda reader: reader.say(EVIL),
    "a remark": lambda reader: reader.remark(EVIL),
    "a complaint": lambda reader: reader.complain(EVIL),
    "a table": lambda reader: reader.table([(EVIL, "x")], heading=("A", "B")),
    "data": lambda reader: reader.data({EVIL: [EVIL]}),
    "several nodes": lambda _: _print_named("pc1", Completed(1, EVIL.encode(errors="replace"), EVIL.encode(errors="replace"))),
}


@pytest.mark.parametrize("say", SAYING.values(), ids=SAYING.keys())
def test_nothing_that_is_said_steers_a_terminal(say: Callable[[Reader], None], capsys: pytest.CaptureFixture[str]) -> None:
    say(Reader())
    said = capsys.readouterr()
    assert not steers(said.out + said.err)
    assert "title" in said.out + said.err, "the text itself is shown"


def test_progress_steers_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(Reader()) as report:
        for kind in ("step-start", "warning", "note", "step-done"):
            report(Event(kind, EVIL, "", 1.0))
    assert not steers(capsys.readouterr().err)


def test_our_own_colours_stay_and_no_others() -> None:
    painted = "\x1b[32mrunning\x1b[0m"
    assert safe(painted) == painted
    assert steers("\x1b[8m")
    assert not steers(safe(painted + "\x1b[8mhidden\x1b[5m"))


@settings(deadline=None)
@given(text=st.text())
def test_data_stays_the_same_data(text: str) -> None:
    out, sys.stdout = sys.stdout, io.StringIO()
    try:
        Reader().data({"text": text})
        said = sys.stdout.getvalue()
    finally:
        sys.stdout = out
    assert json.loads(said) == {"text": text}
    assert not steers(said)


def shown_on(terminal: bool) -> bytes:
    """What `exec` writes of EVIL to a terminal, or to a pipe."""
    ours, theirs = pty.openpty() if terminal else os.pipe()
    out, sys.stdout = sys.stdout, os.fdopen(theirs, "w", encoding="utf-8")
    try:
        _print_raw(Completed(0, EVIL.encode(errors="replace") + b"\n", b""))
        sys.stdout.flush()
        return os.read(ours, 4096)
    finally:
        sys.stdout.close()
        sys.stdout = out
        os.close(ours)


def test_a_commands_output_is_harmless_on_a_terminal_and_untouched_in_a_pipe() -> None:
    assert not steers(shown_on(True).decode().replace("\r\n", "\n"))
    assert shown_on(False) == EVIL.encode(errors="replace") + b"\n"

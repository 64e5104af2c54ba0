"""Columns, amounts, durations, languages; and what progress prints where no terminal is."""

import pytest

from labctl.cli.progress import progress
from labctl.cli.reader import Reader, duration, language_of, render_table, size, width_of
from labctl.engine.events import Event, step


def test_wide_characters_take_two_columns() -> None:
    assert render_table([("pc1", "端末"), ("switch1", "x")], heading=("NODE", "役")) == ["NODE     役", "pc1      端末", "switch1  x"]
    assert width_of("\033[32mスイッチ\033[0m") == 8


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "0 B"), (999, "999 B"), (385_000_000, "385 MB"), (1_250_000_000, "1.2 GB"), (2 * 10**15, "2000.0 TB")]
)
def test_sizes_are_told_for_people(amount: int, text: str) -> None:
    assert size(amount) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (60.2, "1 min 00 s"), (3599, "59 min 59 s"), (7800, "2 h 10 min")]
)
def test_durations_are_told_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_language_is_the_one_asked_for_or_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "ja_JP.UTF-8")
    assert (language_of(None), language_of("en")) == ("ja", "en")
    monkeypatch.setenv("LC_ALL", "C")
    assert language_of(None) == "en"


def test_steps_are_plain_lines_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(Reader()) as report:
        report(Event("step-start", "wires (4 cables)"))
        report(Event("step-done", "wires (4 cables)", seconds=0.25))
        report(Event("step-start", "boot", "pc1"))
        report(Event("step-done", "boot", "pc1", 12.3))
        report(Event("warning", "no KVM here"))
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == ["wires (4 cables) …", "wires (4 cables), 0.2 s", "pc1: boot, 12.3 s", "warning: no KVM here"]


def test_quiet_shows_warnings_only(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(Reader(quiet=True)) as report:
        report(Event("step-done", "boot", "pc1", 12.3))
        report(Event("warning", "no KVM here"))
    assert capsys.readouterr().err == "warning: no KVM here\n"


def test_a_step_that_does_not_end_stays_open_in_the_log() -> None:
    reader = Reader(quiet=True)

    def interrupted() -> None:
        with progress(reader) as report:
            with step(report, "wires"):
                pass
            with step(report, "make pc1", "pc1"):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [(node, what) for node, what, _ in reader.steps.finished] == [("", "wires")]
    assert reader.steps.open == [("pc1", "make pc1")]

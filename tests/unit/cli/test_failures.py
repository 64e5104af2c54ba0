"""What a person reads when something goes wrong, and with which status labctl ends. Golden files: tests/unit/golden/messages."""

from pathlib import Path

import pytest
import typer

from labctl.cli.failures import Terminated, guarded, render_failure, render_interruption
from labctl.cli.reader import Reader
from labctl.errors import CommandError, Fault, HostError, LabError, LoadError, RemoveError, StepError, UsageError
from tests.unit.conftest import Golden

MESSAGES = Path(__file__).parent.parent / "golden" / "messages"
CASES: dict[str, LabError] = {
    "what_only": UsageError("no lab is up"),
    "what_why_hint": HostError("/dev/kvm cannot be opened", why="permission denied", hint="labctl doctor --fix"),
    "long_why": CommandError(
        "mmdebstrap ended with status 25", why="E: no such package\nE: giving up", hint="the command was: mmdebstrap bookworm"
    ),
    "faults": LoadError(
        "lab.yaml: 3 faults",
        faults=(
            Fault("lab.yaml", 5, 8, "no role `swich`", hint="did you mean `l2-switch`?"),
            Fault("lab.yaml", 9, 3, "pc1:eth1 is used twice", why="an interface takes one cable", hint="first in line 8"),
            Fault("lab.yaml", 0, 0, "cannot be read"),
        ),
    ),
    "load_error_without_faults": LoadError("lab.yaml cannot be read", why="permission denied"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_an_error_says_what_why_and_what_to_type(name: str, golden: Golden) -> None:
    golden(MESSAGES / f"{name}.txt", render_failure(CASES[name]) + "\n")


@pytest.mark.parametrize(
    ("error", "status"), [(UsageError("x"), 2), (LoadError("x"), 3), (HostError("x"), 4), (StepError("x"), 5), (RemoveError("x"), 6)]
)
def test_each_kind_of_error_has_its_exit_status(error: LabError, status: int) -> None:
    assert status_of(error) == status


def test_a_verb_may_have_a_status_of_its_own_for_our_failures() -> None:
    assert status_of(UsageError("no node pc9"), own=255) == 255


def test_a_bug_shows_its_traceback_and_ends_with_70(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(ZeroDivisionError("oh")) == 70
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "this is a bug in labctl" in said


def test_a_pipe_that_breaks_inside_is_no_reader_that_went_away(capfd: pytest.CaptureFixture[str]) -> None:
    assert status_of(BrokenPipeError("zstd has ended")) == 70
    assert "zstd has ended" in capfd.readouterr().err


def test_a_labs_error_shows_no_traceback_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    status_of(UsageError("no lab"))
    assert "Traceback" not in capsys.readouterr().err
    status_of(UsageError("no lab"), debug=True)
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_ends_with_130_and_says_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(KeyboardInterrupt()) == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_signal_ends_as_shells_expect_it() -> None:
    assert status_of(Terminated(15)) == 143


def test_what_is_left_after_ctrl_c(golden: Golden) -> None:
    broken_off = [("pc1", "make pc1 (host)"), ("pc2", "make pc2 (host)")]
    left = render_interruption(broken_off, [("l2-switch", "l2-switch", False), ("second", "l2-switch", False), ("napt", "napt", True)])
    golden(MESSAGES / "interrupted_up.txt", "\n".join(left) + "\n")
    golden(MESSAGES / "interrupted_before_anything.txt", "\n".join(render_interruption([], [])) + "\n")


def status_of(error: BaseException, *, own: int | None = None, debug: bool = False) -> int:
    with pytest.raises(typer.Exit) as ended, guarded(Reader(debug=debug), status=own):
        raise error
    return int(ended.value.exit_code)

"""A signal in the first tenths of a second, while Python still imports: it ends labctl as a shell expects, without a traceback."""

import signal
import subprocess
import sys

import pytest

# The signal comes from labctl itself, at the moment at which Typer is looked for: no race with a clock.
PROGRAM = """
import os, sys
class AtTyper:
    def find_spec(self, name, path, target=None):
        if name == "typer":
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, AtTyper())
sys.argv = ["labctl", "--help"]
from labctl.cli.entry import main
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_labctl_is_read_leaves_no_traceback(number: signal.Signals) -> None:
    done = subprocess.run(
        (sys.executable, "-c", PROGRAM.format(number=int(number))), capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", "")


def test_without_a_signal_it_is_labctl() -> None:
    done = subprocess.run((sys.executable, "-m", "labctl.cli", "--version"), capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("labctl")


UNWRITTEN = """
import sys
from labctl.cli import main
def app(prog_name):
    sys.stdout.write("what somebody waits for")
    raise SystemExit({code})
main.app = app
main.main()
"""


@pytest.mark.parametrize(("code", "status"), [("0", 120), ("None", 120), ("130", 130)])
def test_what_could_not_be_written_is_no_success(code: str, status: int) -> None:
    with open("/dev/full", "w") as full:
        argv = (sys.executable, "-c", UNWRITTEN.format(code=code))
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == status
    assert "No space left on device" in done.stderr or status == 130


@pytest.mark.parametrize(("code", "status"), [("0", 0), ("None", 0), ("5", 5), ("'a text'", 1)])
def test_the_status_of_a_verb_is_the_programs(code: str, status: int) -> None:
    done = subprocess.run((sys.executable, "-c", UNWRITTEN.format(code=code)), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (status, "what somebody waits for")


@pytest.mark.parametrize("words", [("--help",), ("up", "--help")])
def test_help_that_cannot_be_written_is_told_without_a_traceback(words: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        argv = (sys.executable, "-m", "labctl.cli", *words)
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (4, "labctl: its output cannot be written\n  why: No space left on device\n")

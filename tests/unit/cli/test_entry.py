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

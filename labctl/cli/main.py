"""`labctl`: every verb, gathered. Importing the families declares their verbs; what they need is imported when one runs."""

import os
import signal
import sys
from io import TextIOWrapper
from types import FrameType

from labctl.cli import checkpoints, compare, desk, images, inside, labs, lesson, lifecycle, machine, prove, scenario, tinkering, wires
from labctl.cli.app import app
from labctl.cli.entry import INTERRUPTED_BY
from labctl.cli.failures import Terminated
from labctl.errors import HostError

FAMILIES = (labs, lifecycle, checkpoints, inside, wires, tinkering, lesson, desk, scenario, compare, prove, machine, images)


def main() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: what was begun is undone, the rest is named
        signal.signal(number, end_in_order)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter is no reason to end with a traceback
    try:
        app(prog_name="labctl")
    except OSError as unwritten:  # what a verb meets is told by itself: this is help or completion
        sys.stderr.write(f"labctl: its output cannot be written\n  why: {unwritten.strerror or unwritten}\n")
        os._exit(HostError.exit_code)
    except SystemExit as end:
        code = 0 if end.code is None else end.code
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except (OSError, ValueError):
            if isinstance(code, int) and code <= INTERRUPTED_BY:
                raise end from None  # Python's own end tells what could not be written, and is no success
        if isinstance(code, str):
            raise
        # Nobody waits for Python to take itself apart (0.05 s), nor, after an interruption, for threads that still wait for a machine.
        os._exit(code)


def end_in_order(number: int, _: FrameType | None) -> None:
    raise Terminated(number)

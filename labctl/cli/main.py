"""`labctl`: every verb, gathered. Importing the families declares their verbs; what they need is imported when one runs."""

import signal
import sys
from io import TextIOWrapper
from types import FrameType

from labctl.cli import checkpoints, desk, images, inside, labs, lesson, lifecycle, machine, prove, scenario, tinkering, wires
from labctl.cli.app import app
from labctl.cli.failures import Terminated

FAMILIES = (labs, lifecycle, checkpoints, inside, wires, tinkering, lesson, desk, scenario, prove, machine, images)


def main() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: what was begun is undone, the rest is named
        signal.signal(number, end_in_order)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter is no reason to end with a traceback
    app(prog_name="labctl")


def end_in_order(number: int, _: FrameType | None) -> None:
    raise Terminated(number)

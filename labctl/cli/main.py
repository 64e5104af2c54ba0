"""`labctl`: every verb, gathered. Importing the families declares their verbs; what they need is imported when one runs."""

import signal
from types import FrameType

from labctl.cli import checkpoints, images, inside, labs, lesson, lifecycle, machine, prove, tinkering
from labctl.cli.app import app
from labctl.cli.failures import Terminated

FAMILIES = (labs, lifecycle, checkpoints, inside, tinkering, lesson, prove, machine, images)


def main() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: what was begun is undone, the rest is named
        signal.signal(number, end_in_order)
    app(prog_name="labctl")


def end_in_order(number: int, _: FrameType | None) -> None:
    raise Terminated(number)

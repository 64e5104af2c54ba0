"""The first lines of `labctl`: a signal that comes while Python still reads the rest ends it at once, without a traceback."""

import os
import signal
from types import FrameType

INTERRUPTED_BY = 128  # and the signal's number: the exit status of what a signal has ended, as shells have it


def main() -> None:
    """Import the verbs and run the one that was typed; until then nothing is under way that would have to be undone."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        signal.signal(number, _end)
    from labctl.cli.main import main as run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


def _end(number: int, _: FrameType | None) -> None:
    os._exit(INTERRUPTED_BY + number)

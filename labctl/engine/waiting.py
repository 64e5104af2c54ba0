"""Waiting for a condition, against a deadline, with the last look in the error: the only loop of its kind in the engine."""

import time
from collections.abc import Callable

from labctl.errors import TimedOut


def wait_until(
    what: str, holds: Callable[[], bool], *, timeout_s: float, every_s: float = 0.05, last_seen: Callable[[], str] = str
) -> None:
    """Return once `holds()`; `TimedOut` with `last_seen()` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() >= deadline:
            raise TimedOut(f"{what}: not within {timeout_s:g} s", why=last_seen())
        time.sleep(every_s)

"""What rooms tell while they work. The door (`cli/progress`) prints it; a test reads it; nobody else cares.

Owns the one event type. Events are for people and say what happens now; results travel as return values.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic


@dataclass(frozen=True)
class Event:
    """`kind`: step-start, step-done, note or warning. `seconds` is how long a finished step took."""

    kind: str
    what: str
    node: str = ""
    seconds: float | None = None


Reporter = Callable[[Event], None]


def silent(_: Event) -> None:
    """A reporter for callers that want none."""


@contextmanager
def step(report: Reporter, what: str, node: str = "") -> Iterator[None]:
    """Report start and end of a step with its duration; nothing at the end if it fails, the error speaks."""
    started = monotonic()
    report(Event("step-start", what, node))
    yield
    report(Event("step-done", what, node, monotonic() - started))

"""Events of the engine, shown: moving lines on a terminal, plain lines elsewhere, nothing with --quiet. Always on standard error.

Owns how a step looks while it runs and once it is done, and the log of steps that Ctrl-C and `--timings` read. Events come from
several threads at once.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from labctl.check.readable import harmless
from labctl.cli.reader import Reader, duration

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from labctl.engine.events import Event, Reporter

Show = Callable[["Event"], None]


@contextmanager
def progress(reader: Reader) -> "Iterator[Reporter]":
    """A reporter that shows what happens while the block runs, and keeps the reader's log of steps."""
    lock = threading.Lock()
    with _shown(reader) as show:

        def report(event: "Event") -> None:
            with lock:
                _keep(reader, event)
                show(event)

        yield report


def _keep(reader: Reader, event: "Event") -> None:
    key = (event.node, event.what)
    if event.kind == "step-start":
        reader.steps.open.append(key)
    elif event.kind == "step-done":
        if key in reader.steps.open:
            reader.steps.open.remove(key)
        reader.steps.finished.append((*key, event.seconds or 0.0))


@contextmanager
def _shown(reader: Reader) -> Iterator[Show]:
    if reader.quiet:
        yield _warnings_only
    elif sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        with _moving() as show:
            yield show
    else:
        yield _plain


def _warnings_only(event: "Event") -> None:
    """A warning is no progress: it is shown even with --quiet."""
    if event.kind == "warning":
        print(harmless(line_of(event)), file=sys.stderr, flush=True)


def _plain(event: "Event") -> None:
    """One line for each step that ends; a step of the whole lab is told when it begins too, since it may take long."""
    if event.kind != "step-start" or not event.node:
        print(harmless(line_of(event)), file=sys.stderr, flush=True)


def line_of(event: "Event") -> str:
    about = f"{event.node}: " if event.node and event.node not in event.what.split() else ""
    match event.kind:
        case "step-start":
            return f"{about}{event.what} …"
        case "step-done":
            return f"{about}{event.what}, {duration(event.seconds or 0.0)}"
        case "warning":
            return f"warning: {about}{event.what}"
        case _:
            return f"{about}{event.what}"


@contextmanager
def _moving() -> Iterator[Show]:
    """A line with a running clock for each open step; lines of finished ones stay above."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, highlight=False)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as display:
        tasks: dict[tuple[str, str], TaskID] = {}

        def show(event: "Event") -> None:
            key = (event.node, event.what)
            if event.kind == "step-start":
                tasks[key] = display.add_task(escape(harmless(line_of(event)).removesuffix(" …")), total=None)
                return
            _end_task(display, tasks.pop(key, None))
            mark = {"step-done": "[green]✔[/] ", "warning": "[yellow]![/] "}.get(event.kind, "  ")
            console.print(mark + escape(harmless(line_of(event))), soft_wrap=True)

        yield show


def _end_task(display: "Progress", task: "TaskID | None") -> None:
    if task is not None:
        display.remove_task(task)


def timings(reader: Reader) -> None:
    """The finished steps, longest first."""
    rows = [
        (duration(seconds).rjust(10), what if not node or node in what.split() else f"{node}: {what}")
        for node, what, seconds in reader.steps.finished
    ]
    order = sorted(range(len(rows)), key=lambda place: -reader.steps.finished[place][2])
    reader.table([rows[place] for place in order])

"""The one place where an error becomes words and an exit status.

    LabError      what failed, why, what to type; its own exit code    Ctrl-C       what is left; 130
    broken pipe   nothing, if it is our own reader who has gone        all others   a bug: traceback, 70

`--debug` shows the traceback of a LabError too.
"""

import os
import select
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from labctl.cli.reader import Reader
from labctl.errors import LabError, LoadError

INTERRUPTED, BUG = 130, 70


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP, treated as Ctrl-C is."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.number = number


@contextmanager
def guarded(reader: Reader, *, status: int | None = None) -> Iterator[None]:
    """Whatever goes wrong in the block ends as an exit status. `status` replaces a LabError's own code (`exec` and `ssh`: 255)."""
    try:
        yield
        sys.stdout.flush()
    except LabError as error:
        if reader.debug:
            traceback.print_exc()
        reader.complain(render_failure(error))
        raise typer.Exit(error.exit_code if status is None else status) from None
    except KeyboardInterrupt as stop:
        reader.complain("\n".join(render_interruption(reader.steps.open, instances_left())))
        raise typer.Exit(128 + stop.number if isinstance(stop, Terminated) else INTERRUPTED) from None
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        if isinstance(error, BrokenPipeError) and (unread := _unread_streams()):
            for number in unread:
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)  # or the interpreter complains when it flushes at its end
            raise typer.Exit(0) from None
        if (told := _of_the_machine(error)) is not None:
            reader.complain(render_failure(told))
            raise typer.Exit(told.exit_code if status is None else status) from None
        traceback.print_exc()
        reader.complain("labctl: this is a bug in labctl, not in your lab. Please report the lines above.")
        raise typer.Exit(BUG) from None


def _unread_streams() -> list[int]:
    """Standard output and standard error, those of them whose reader has gone (poll(2)): any other broken pipe is a failure."""
    poll = select.poll()
    for stream in (sys.stdout, sys.stderr):
        poll.register(stream.fileno(), 0)
    return [number for number, events in poll.poll(0) if events & (select.POLLERR | select.POLLHUP)]


def _of_the_machine(error: Exception) -> LabError | None:
    """A disk that is full, closed or read-only is no bug, wherever it was met; None for anything else."""
    if not isinstance(error, OSError):
        return None
    from labctl.engine.room import explain

    return explain(error)


def render_failure(error: LabError) -> str:
    """The message for people: all faults of a definition, or what, why and what to type."""
    if isinstance(error, LoadError) and error.faults:
        return render_faults(error)
    lines = [f"labctl: {error.what}"]
    lines += _paragraph("why", error.why)
    lines += _paragraph("hint", error.hint)
    return "\n".join(lines)


def render_faults(error: LoadError) -> str:
    """`file:line:column: what`, as compilers write it, so that editors can jump there; then why, then what was probably meant."""
    lines = []
    for fault in error.faults:
        lines.append(f"{fault.place}: {fault.what}")
        lines += [f"    {text}" for text in (fault.why, fault.hint) if text]
    count = len(error.faults)
    return "\n".join([*lines, f"labctl: {count} {'fault' if count == 1 else 'faults'}"])


def _paragraph(word: str, text: str) -> list[str]:
    if not text:
        return []
    first, *rest = text.splitlines() or [""]
    return [f"  {word}: {first}", *(" " * (len(word) + 4) + line for line in rest)]


def render_interruption(unfinished: list[tuple[str, str]], left: list[tuple[str, str, bool]]) -> list[str]:
    """What Ctrl-C broke off, and what stands in the machine now. `left`: (instance, lab, whether it came to be ready)."""
    lines = ["", "labctl: interrupted"]
    if unfinished:
        lines.append("  broken off: " + ", ".join(what for _, what in unfinished))
    for instance, lab, ready in left:
        name = "" if instance == lab else f" --instance {instance}"
        if ready:
            lines.append(f"  still up: {instance}")
        else:
            lines.append(f"  left: {instance}, as far as it came; labctl up {lab}{name} goes on, labctl down {instance} takes it away")
    return lines if left else [*lines, "  no lab is up"]


def instances_left() -> list[tuple[str, str, bool]]:
    from labctl.engine.instances import list_instances

    try:
        return [(record.id, record.lab, record.ready) for record in list_instances()]
    except (LabError, OSError):
        return []

"""The verb `desk`: everything of a lesson on one screen."""

import os
import sys
from typing import Annotated

import typer

from labctl.cli import complete
from labctl.cli.app import LESSON, verb
from labctl.cli.inside import become
from labctl.cli.options import InstanceOption, RunningLabArgument
from labctl.cli.reader import Reader
from labctl.errors import UsageError


@verb("desk", LESSON, "labctl desk l2-switch", "labctl desk --capture sw1:port1 --capture sw1:port2")
def desk(
    reader: Reader,
    lab: RunningLabArgument = None,
    capture: Annotated[
        list[str] | None,
        typer.Option("--capture", metavar="NODE:IF", help="Listen here; may stand several times.", autocompletion=complete.ends),
    ] = None,
    show: Annotated[bool, typer.Option("--print", help="Only print the command of tmux.")] = False,
    instance: InstanceOption = None,
) -> None:
    """Put a lesson on one screen: guide, shells, capture.

    In tmux: the guide at the left, shells in the first nodes and a decoded capture at its right, each further node in a window of its
    own. The mouse chooses; Ctrl-b then a number changes the window, Ctrl-b then & or the end of the terminal ends it.
    """
    import shlex

    from labctl.engine.desk import desk_argv
    from labctl.engine.instances import find_instance

    argv = desk_argv(find_instance(lab, instance), (sys.executable, "-m", "labctl.cli"), tuple(capture or ()), reader.language)
    if show:
        return reader.say(shlex.join(argv))
    if not sys.stdout.isatty():
        raise UsageError("a desk needs a terminal", hint="labctl desk --print shows what would be run")
    os.environ.pop("TMUX", None)  # a desk inside tmux is meant: its server is another
    return become(argv)

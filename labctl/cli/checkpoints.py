"""`checkpoint`: a person's own points in a running lab, saved and gone back to."""

from typing import Annotated

import typer

from labctl.cli.app import RUN, app, new_group, verb
from labctl.cli.options import InstanceOption, JsonOption
from labctl.cli.progress import progress
from labctl.cli.reader import Reader, size

POINT_SHAPE = """[{"name": "before-the-change", "lab": "l2-switch", "variant": "default", "made": 1795535540.0, "nodes": 5,
  "size_bytes": 600000000, "place": "/…"}]"""
checkpoint = new_group("Points in a running lab: ls, save, goto, rm.")
app.add_typer(checkpoint, name="checkpoint", rich_help_panel=RUN)

PointArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the checkpoint.")]


@verb("checkpoint ls", RUN, "labctl checkpoint ls", group=checkpoint, shape=POINT_SHAPE)
def checkpoint_ls(reader: Reader, json: JsonOption = False) -> None:
    """List the checkpoints that were saved by hand."""
    from dataclasses import asdict
    from datetime import datetime

    from labctl.engine.points import list_points

    points = list_points()
    if json:
        return reader.data([{**asdict(point), "place": str(point.place)} for point in points])
    if not points:
        return reader.say("no checkpoint was saved; labctl checkpoint save NAME saves one of a running lab")
    rows = [
        (
            point.name,
            point.lab,
            point.variant,
            f"{point.nodes}",
            size(point.size_bytes),
            f"{datetime.fromtimestamp(point.made):%Y-%m-%d %H:%M}",
        )
        for point in points
    ]
    return reader.table(rows, heading=("NAME", "LAB", "VARIANT", "NODES", "SIZE", "MADE"))


@verb("checkpoint save", RUN, "labctl checkpoint save before-the-change", group=checkpoint)
def checkpoint_save(reader: Reader, name: PointArgument, instance: InstanceOption = None) -> None:
    """Save all nodes of a running lab, their disks, memory and cables, at one instant; the lab runs on.

    Each node's journald is started anew for it; what is logged meanwhile waits and is not lost.
    """
    from labctl.engine import at_work
    from labctl.engine.instances import find_instance

    with progress(reader) as report:
        point = at_work.save_point(find_instance(None, instance), name, report)
    reader.remark(f"saved as {point.name} ({size(point.size_bytes)}); labctl checkpoint goto {point.name} goes back to it")


@verb("checkpoint goto", RUN, "labctl checkpoint goto before-the-change", group=checkpoint)
def checkpoint_goto(reader: Reader, name: PointArgument, instance: InstanceOption = None) -> None:
    """Bring all nodes, cables and settings of a running lab back to a checkpoint; what came after it is lost."""
    from labctl.engine import at_work
    from labctl.engine.instances import find_instance

    with progress(reader) as report:
        at_work.goto_point(find_instance(None, instance), name, report)
    reader.remark(f"the lab is as it was at {name}")


@verb("checkpoint rm", RUN, "labctl checkpoint rm before-the-change", group=checkpoint)
def checkpoint_rm(
    reader: Reader,
    name: PointArgument,
    lab: Annotated[str | None, typer.Option("--lab", metavar="LAB", help="Of which lab, where several have one of this name.")] = None,
) -> None:
    """Remove a checkpoint."""
    from labctl.engine.points import list_points, remove_point
    from labctl.errors import UsageError

    fitting = [point for point in list_points(lab) if point.name == name]
    if len(fitting) != 1:
        labs = ", ".join(point.lab for point in fitting)
        raise UsageError(
            f"{len(fitting)} checkpoints are called '{name}'", hint=f"say which: --lab, of {labs}" if labs else "labctl checkpoint ls"
        )
    remove_point(fitting[0].lab, name)
    reader.remark(f"{name} is gone")

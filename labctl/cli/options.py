"""Arguments and options that several verbs share, each with its help and its completion, so that they are the same everywhere."""

import re
from typing import Annotated

import typer

from labctl.cli import complete

INSTANCE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


def check_instance_name(name: str | None) -> str | None:
    """An instance's name becomes a directory's: nothing but a plain name gets through."""
    if name is not None and not INSTANCE_NAME.fullmatch(name):
        raise typer.BadParameter(f"'{name}' is no name for an instance: lower-case letters, digits and -, at most 40 characters")
    return name


LAB_HELP = "A shipped lab's name, a directory or a lab.yaml."

LabArgument = Annotated[str, typer.Argument(metavar="LAB", help=LAB_HELP, autocompletion=complete.labs)]
RunningLabArgument = Annotated[
    str | None,
    typer.Argument(metavar="LAB", help="A running lab or instance, where several run.", autocompletion=complete.instances),
]
InstanceOption = Annotated[
    str | None,
    typer.Option(
        "--instance",
        "-i",
        metavar="NAME",
        help="Which instance, where several fit.",
        callback=check_instance_name,
        autocompletion=complete.instances,
    ),
]
VariantOption = Annotated[
    str, typer.Option("--variant", metavar="NAME", help="A variant that the lab file has.", autocompletion=complete.variants)
]
NodeArgument = Annotated[str, typer.Argument(metavar="NODE", help="A node of the lab.", autocompletion=complete.nodes)]
NodesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NODE", help="Nodes, or first a running lab; no node means all of it.", autocompletion=complete.instances_and_nodes
    ),
]
ChecksArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="CHECK", help="Checks, or first a running lab; no check means all.", autocompletion=complete.instances),
]
EndArgument = Annotated[
    str, typer.Argument(metavar="NODE:IF", help="An interface of a node, as in pc1:eth1.", autocompletion=complete.ends)
]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs; docs/commands.md shows the shape.")]

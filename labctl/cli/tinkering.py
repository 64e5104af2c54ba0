"""Verbs that change a running lab: settings of a role (set) and cables (link show | cut | restore | move)."""

import json as json_module
from typing import Annotated, Any

import typer

from labctl.cli import complete
from labctl.cli.app import INSIDE, app, new_group, verb
from labctl.cli.options import EndArgument, InstanceOption, JsonOption, NodeArgument
from labctl.cli.progress import progress
from labctl.cli.reader import Reader
from labctl.errors import UsageError

LINK_SHAPE = """[{"a": "pc1:eth1", "b": "sw1:port1", "cut": false}]"""
link = new_group("Cables of a running lab: show, cut, restore, move.")
app.add_typer(link, name="link", rich_help_panel=INSIDE)


@verb("set", INSIDE, "labctl set sw1 ageing_s=10", "labctl set sw1 learning=false")
def set_(
    reader: Reader,
    node: NodeArgument,
    changes: Annotated[list[str], typer.Argument(metavar="KEY=VALUE", help="A setting of the node's role; true, 10 or a list is JSON.")],
    instance: InstanceOption = None,
) -> None:
    """Change settings of a node's role while it runs.

    The role's own words; docs/lab-schema.md lists them. labctl reset takes the change back.
    """
    from labctl.engine import at_work
    from labctl.engine.instances import find_instance

    record = find_instance(None, instance)
    wanted = dict(_setting(change) for change in changes)
    with progress(reader) as report:
        at_work.change_settings(record, node, wanted, report)
    reader.remark(f"{node}: {', '.join(changes)}")


def _setting(word: str) -> tuple[str, Any]:
    """`ageing_s=10` → ("ageing_s", 10). A value that is no JSON is a text."""
    key, equals, text = word.partition("=")
    if not equals or not key:
        raise UsageError(f"'{word}' is no setting", hint="as in ageing_s=10")
    try:
        return key, json_module.loads(text)
    except ValueError:
        return key, text


@verb("link show", INSIDE, "labctl link show", group=link, shape=LINK_SHAPE)
def link_show(reader: Reader, instance: InstanceOption = None, json: JsonOption = False) -> None:
    """List the cables, and which are cut."""
    from dataclasses import asdict

    from labctl.engine.instances import find_instance
    from labctl.engine.links import show_links

    cables = show_links(find_instance(None, instance))
    if json:
        return reader.data([asdict(cable) for cable in cables])
    return reader.table([(cable.a, "--", cable.b, reader.paint("cut", "red") if cable.cut else "") for cable in cables])


@verb("link cut", INSIDE, "labctl link cut pc1:eth1", group=link)
def link_cut(reader: Reader, end: EndArgument, instance: InstanceOption = None) -> None:
    """Pull a cable: the carrier goes at both ends."""
    from labctl.engine import at_work
    from labctl.engine.instances import find_instance

    with progress(reader) as report:
        at_work.cut(find_instance(None, instance), end, report)
    reader.remark(f"the cable at {end} is cut; labctl link restore {end} puts it back")


@verb("link restore", INSIDE, "labctl link restore pc1:eth1", group=link)
def link_restore(reader: Reader, end: EndArgument, instance: InstanceOption = None) -> None:
    """Put a cable back that was cut."""
    from labctl.engine import at_work
    from labctl.engine.instances import find_instance

    with progress(reader) as report:
        at_work.restore(find_instance(None, instance), end, report)
    reader.remark(f"the cable at {end} is in again")


@verb("link move", INSIDE, "labctl link move pc1:eth1 sw1:port5", group=link)
def link_move(
    reader: Reader,
    end: EndArgument,
    to: Annotated[str, typer.Argument(metavar="TO", help="The free interface, as in sw1:port5.", autocompletion=complete.ends)],
    instance: InstanceOption = None,
) -> None:
    """Plug the host at NODE:IF into another port.

    The far end of its cable is taken out and plugged in at TO.
    """
    from labctl.engine import at_work
    from labctl.engine.instances import find_instance

    with progress(reader) as report:
        at_work.move(find_instance(None, instance), end, to, report)
    reader.remark(f"{end} is plugged into {to} now")

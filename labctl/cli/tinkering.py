"""Verbs that change a running lab: settings of a role (set) and cables (link show | cut | restore | move | set | reset)."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from labctl.cli import complete
from labctl.cli.app import INSIDE, app, new_group, verb
from labctl.cli.options import EndArgument, InstanceOption, JsonOption, NodeArgument
from labctl.cli.progress import progress
from labctl.cli.reader import Reader
from labctl.errors import UsageError

if TYPE_CHECKING:
    from labctl.engine.links import Cable

LINK_SHAPE = """[{"a": "pc1:eth1", "b": "sw1:port1", "cut": false, "a_to_b": {"delay": "30ms", "loss": "1%"}, "b_to_a": {"mtu": 1400}}]"""
link = new_group("Cables of a running lab: show, cut, restore, move, make worse (set), clear (reset).")
app.add_typer(link, name="link", rich_help_panel=INSIDE)


@verb("set", INSIDE, "labctl set sw1 ageing_s=10", "labctl set sw1 learning=false", "labctl set sw1 port1.vlan=20")
def set_(
    reader: Reader,
    node: NodeArgument,
    changes: Annotated[list[str], typer.Argument(metavar="KEY=VALUE", help="A setting of the node's role, its value as in a lab file.")],
    instance: InstanceOption = None,
) -> None:
    """Change settings of a node's role while it runs.

    The role's own words; docs/lab-schema.md lists them. labctl reset takes the change back.
    """
    from labctl.engine import at_work
    from labctl.engine.instances import find_instance
    from labctl.lab.settings import parse_changes

    record = find_instance(None, instance)
    wanted = parse_changes(dict(_setting(change) for change in changes))
    with progress(reader) as report:
        at_work.change_settings(record, node, wanted, report)
    reader.remark(f"{node}: {', '.join(changes)}")


def _setting(word: str) -> tuple[str, str]:
    key, equals, text = word.partition("=")
    if not equals or not key:
        raise UsageError(f"'{word}' is no setting", hint="as in ageing_s=10")
    return key, text


@verb("link show", INSIDE, "labctl link show", group=link, shape=LINK_SHAPE)
def link_show(reader: Reader, instance: InstanceOption = None, json: JsonOption = False) -> None:
    """List the cables, which are cut, and what they do to frames."""
    from dataclasses import asdict

    from labctl.engine.instances import find_instance
    from labctl.engine.links import show_links

    cables = show_links(find_instance(None, instance))
    if json:
        return reader.data([asdict(cable) for cable in cables])
    cut = reader.paint(reader.choose("cut", "抜けている"), "red")
    return reader.table([(cable.a, "--", cable.b, "; ".join(filter(None, (cut if cable.cut else "", *_worse(cable))))) for cable in cables])


def _worse(cable: "Cable") -> list[str]:
    """`both ways: delay 30ms`, or each direction by itself."""
    there, back = (", ".join(f"{key} {value}" for key, value in way.items()) for way in (cable.a_to_b, cable.b_to_a))
    if there == back:
        return [f"both ways: {there}"] if there else []
    return [f"{arrow} {words}" for arrow, words in (("->", there), ("<-", back)) if words]


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


def _impairment(flag: str, metavar: str, help_text: str) -> Any:
    return typer.Option(flag, metavar=metavar, help=help_text)


@verb("link set", INSIDE, "labctl link set r1:eth1 --delay 30ms --loss 1%", "labctl link set r1:eth1 --rate 10mbit --one-way", group=link)
def link_set(
    reader: Reader,
    end: EndArgument,
    delay: Annotated[str | None, _impairment("--delay", "TIME", "Each frame arrives so much later: 30ms.")] = None,
    jitter: Annotated[str | None, _impairment("--jitter", "TIME", "The delay varies by so much.")] = None,
    loss: Annotated[str | None, _impairment("--loss", "SHARE", "Share of frames that are lost: 1%.")] = None,
    rate: Annotated[str | None, _impairment("--rate", "RATE", "So many bits a second at most: 10mbit.")] = None,
    duplicate: Annotated[str | None, _impairment("--duplicate", "SHARE", "Share of frames that arrive twice.")] = None,
    reorder: Annotated[str | None, _impairment("--reorder", "SHARE", "Share of frames that skip the delay.")] = None,
    corrupt: Annotated[str | None, _impairment("--corrupt", "SHARE", "Share of frames with one wrong bit.")] = None,
    mtu: Annotated[int | None, typer.Option("--mtu", metavar="BYTES", help="Largest packet: 1400.")] = None,
    one_way: Annotated[
        bool, typer.Option("--one-way", help="Only what leaves NODE:IF; otherwise both directions, each by so much.")
    ] = False,
    instance: InstanceOption = None,
) -> None:
    """Make a link worse: delay, loss, rate and more.

    Values are per direction: --delay 30ms makes the round trip 60 ms longer. The nodes at its ends do it, and keep it when they reboot.
    What is not named stays as it is; 0ms and 0% take away; labctl link reset goes back to the lab file.
    """
    from labctl.engine import at_work
    from labctl.engine.instances import find_instance

    given = {"delay": delay, "jitter": jitter, "loss": loss, "rate": rate, "duplicate": duplicate, "reorder": reorder, "corrupt": corrupt}
    words = {key: value for key, value in {**given, "mtu": mtu}.items() if value is not None}
    if not words:
        raise UsageError("nothing is to change", hint=f"labctl link set {end} --delay 30ms --loss 1%")
    with progress(reader) as report:
        at_work.impair(find_instance(None, instance), end, words, report, one_way=one_way)
    shown = ", ".join(f"{key} {value}" for key, value in words.items())
    reader.remark(f"{end}: {shown}{' one way' if one_way else ' in each direction'}; labctl link reset {end} takes it back")


@verb("link reset", INSIDE, "labctl link reset r1:eth1", "labctl link reset", group=link)
def link_reset(
    reader: Reader,
    ends: Annotated[
        list[str] | None,
        typer.Argument(metavar="NODE:IF", help="Interfaces; none means every link that was changed.", autocompletion=complete.ends),
    ] = None,
    instance: InstanceOption = None,
) -> None:
    """Make links as the lab file says again: no delay, no loss that link set brought. Cut cables stay cut."""
    from labctl.engine import at_work
    from labctl.engine.instances import find_instance

    with progress(reader) as report:
        cleared = at_work.clear(find_instance(None, instance), ends or (), report)
    reader.remark(f"as in the lab file: {', '.join(cleared)}" if cleared else "every link is as in the lab file")

"""Verbs for the life of an instance: plan, up, status, reset, halt, start, down."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labctl.cli.app import RUN, verb
from labctl.cli.choice import choose_nodes
from labctl.cli.failures import render_failure
from labctl.cli.labs import load
from labctl.cli.options import InstanceOption, JsonOption, LabArgument, NodesArgument, RunningLabArgument, VariantOption
from labctl.cli.progress import progress, timings
from labctl.cli.reader import Reader, duration, render_table
from labctl.errors import UsageError

if TYPE_CHECKING:
    from labctl.engine.preview import Preview
    from labctl.engine.start import Way
    from labctl.engine.status import LabStatus
    from labctl.engine.up import UpResult

PLAN_SHAPE = """{"accelerator": "kvm", "layers": 0, "steps": [{"verb": "make", "subject": "pc1", "why": "host", "loses_disk": false}],
  "way": "checkpoint", "needs": {"memory_mib": 1400, "disk_mib": 400}, "free": {"memory_mib": 8000, "disk_mib": 50000},
  "seconds": 4.0, "upper_bound": true}"""
STATUS_SHAPE = """[{"instance": "l2-switch", "lab": "l2-switch", "variant": "default", "state": "running", "accelerator": "kvm",
  "uptime_s": 61.2, "pss_mib": 700,
  "nodes": [{"name": "pc1", "role": "host", "state": "running", "addresses": ["eth1 192.168.1.11/24"], "memory_mib": 256,
    "pss_mib": 138, "why": ""}],
  "links": [{"a": "pc1:eth1", "b": "sw1:port1", "cut": false, "a_to_b": {"delay": "30ms"}, "b_to_a": {}}], "why": ""}]"""
STATE_COLOURS = {
    "running": "green",
    "starting": "yellow",
    "off": "dim",
    "paused": "yellow",
    "lost": "red",
    "dead": "red",
    "halted": "dim",
    "was running": "yellow",
}


@verb("plan", RUN, "labctl plan l2-switch", "labctl plan ./my-lab --json", shape=PLAN_SHAPE)
def plan(
    reader: Reader, lab: LabArgument, variant: VariantOption = "default", instance: InstanceOption = None, json: JsonOption = False
) -> None:
    """Say what `up` would do: steps, memory, disk, time.

    Nothing is started, built or written.
    """
    from labctl.engine.preview import preview

    found = preview(load(lab, variant), instance)
    if json:
        return reader.data(_plan_data(found))
    reader.say(f"accelerator: {found.accelerator}")
    if found.layers:
        reader.say(f"build {found.layers} image {'layer' if found.layers == 1 else 'layers'}")
    for step in found.plan.steps:
        reader.say(step.what + (reader.paint("  its disk is lost", "red") if step.loses_disk else ""))
    if not found.plan.steps:
        return reader.say("nothing to do: it is up, and is what its file says")
    reader.say(f"memory: {found.needs.memory_mib} MiB at most, {found.free.memory_mib} MiB are free")
    reader.say(f"disk:   {found.needs.disk_mib} MiB, {found.free.disk_mib} MiB are free")
    bound = "at most about" if found.upper_bound else "about"
    return reader.say(f"time:   {bound} {duration(found.seconds)}, nodes from: {found.way.value}")


def _plan_data(found: "Preview") -> dict[str, Any]:
    steps = [{"verb": each.verb, "subject": each.subject, "why": each.why, "loses_disk": each.loses_disk} for each in found.plan.steps]
    needs, free = ({"memory_mib": room.memory_mib, "disk_mib": room.disk_mib} for room in (found.needs, found.free))
    return {
        "accelerator": found.accelerator,
        "layers": found.layers,
        "steps": steps,
        "way": found.way.value,
        "needs": needs,
        "free": free,
        "seconds": round(found.seconds, 1),
        "upper_bound": found.upper_bound,
    }


@verb("up", RUN, "labctl up l2-switch", "labctl up l2-switch --instance second", "labctl up ./my-lab --variant masquerade")
def up(
    reader: Reader,
    lab: LabArgument,
    variant: VariantOption = "default",
    instance: InstanceOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Make nodes anew where a change needs it; their disks are lost.")] = False,
    allow_uplink: Annotated[bool, typer.Option("--allow-uplink", help="Let nodes that ask for it reach the internet.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Make the machines anew, although the lab's checkpoint is here.")] = False,
    start_by: Annotated[
        str | None, typer.Option("--start", metavar="WAY", help="Quickest way of starting that is taken: checkpoint, clone, stream, cold.")
    ] = None,
    show_timings: Annotated[bool, typer.Option("--timings", help="Print how long each step took, longest first.")] = False,
) -> None:
    """Start a lab, or bring it to what its file says now."""
    from labctl.engine.up import UpOptions
    from labctl.engine.up import up as bring_up

    way = way_of(start_by)
    loaded = load(lab, variant)
    with progress(reader) as report:
        result = bring_up(loaded, instance=instance, options=UpOptions(allow_uplink, replace, way, fresh), report=report)
    _tell_up(reader, result)
    if show_timings:
        timings(reader)


def way_of(word: str | None) -> "Way":
    """The way of starting that a word names; labctl's own choice without one."""
    from labctl.engine.start import Way

    if word is None:
        return Way.CHECKPOINT
    try:
        return Way(word)
    except ValueError:
        raise UsageError(f"'{word}' is no way of starting machines", hint=f"--start {', '.join(Way)}") from None


def _tell_up(reader: Reader, result: "UpResult") -> None:
    from labctl.lab.load import word_for

    record = result.record
    if reader.quiet:
        return
    if not result.plan.steps:
        return reader.say(f"{record.id} is up already, and is what its file says: nothing to do")
    choice = "" if record.id == record.lab else f" --instance {record.id}"
    nodes = "1 node" if len(record.nodes) == 1 else f"{len(record.nodes)} nodes"
    reader.say(f"{record.id} is ready: {nodes}, accelerator {record.accelerator}")
    next_words = (
        (f"labctl guide {word_for(Path(record.file))}", "its lesson"),
        (f"labctl ssh {record.nodes[0].name}{choice}", "log in to a node"),
        (f"labctl verify{choice}", "prove what it teaches"),
        (f"labctl down{choice}", "end it; nothing is left behind"),
    )
    for line in render_table(next_words):
        reader.remark(f"  {line}")


@verb("status", RUN, "labctl status", "labctl status l2-switch --json", shape=STATUS_SHAPE)
def status(reader: Reader, lab: RunningLabArgument = None, instance: InstanceOption = None, json: JsonOption = False) -> None:
    """Show what runs: nodes, states, addresses, memory."""
    from dataclasses import asdict

    from labctl.engine.instances import find_instance, list_instances, unreadable
    from labctl.engine.status import statuses

    records = (find_instance(lab, instance),) if lab or instance else list_instances()
    found = statuses(records)
    for refused in () if lab or instance else unreadable():
        reader.complain(render_failure(refused))
    if json:
        return reader.data([asdict(one) for one in found])
    if not found:
        return reader.say("no lab is up; labctl list shows what there is")
    for place, one in enumerate(found):
        if place:
            reader.say()
        _print_status(reader, one)


def _print_status(reader: Reader, one: "LabStatus") -> None:
    about = [f"accelerator {one.accelerator}"]
    about += [f"variant {one.variant}"] if one.variant != "default" else []
    about += [f"up for {duration(one.uptime_s)}"] if one.uptime_s is not None else []
    about += [f"{one.pss_mib} MiB of memory"] if one.pss_mib is not None else []
    name = one.instance if one.instance == one.lab else f"{one.instance} (lab {one.lab})"
    reader.say(f"{reader.paint(name, 'bold')}: {_painted(reader, one.state)}, {', '.join(about)}")
    if one.why:
        reader.say(f"  {one.why}")
    rows = [
        (
            node.name,
            node.role,
            _painted(reader, node.state),
            ", ".join(node.addresses),
            "" if node.pss_mib is None else f"{node.pss_mib} MiB",
        )
        for node in one.nodes
    ]
    reader.table(rows, heading=("NODE", "ROLE", "STATE", "ADDRESSES", "MEMORY"), indent="  ")
    for node in one.nodes:
        if node.why:
            reader.say(f"  {node.name}: {node.why}")
    for cable in one.links:
        if cable.cut:
            reader.say(f"  cable {cable.a} -- {cable.b} is {reader.paint('cut', 'red')}")


def _painted(reader: Reader, state: str) -> str:
    return reader.paint(state, STATE_COLOURS[state]) if state in STATE_COLOURS else state


@verb("reset", RUN, "labctl reset", "labctl reset pc1 pc2", "labctl reset l2-switch")
def reset(reader: Reader, nodes: NodesArgument = None, instance: InstanceOption = None) -> None:
    """Put nodes back as they were when the lab was ready.

    Without a node the whole lab, its cables and settings too. What was done in the nodes is lost.
    """
    from labctl.engine import at_work

    record, chosen = choose_nodes(nodes, instance)
    with progress(reader) as report:
        at_work.reset(record, chosen, report)
    reader.remark(f"{', '.join(chosen) or record.id}: as when the lab was ready")


@verb("halt", RUN, "labctl halt pc1", "labctl halt")
def halt(reader: Reader, nodes: NodesArgument = None, instance: InstanceOption = None) -> None:
    """Shut nodes down in order; they keep their disks."""
    from labctl.engine.power import halt as shut_down

    record, chosen = choose_nodes(nodes, instance)
    with progress(reader) as report:
        shut_down(record, chosen or tuple(node.name for node in record.nodes), report)


@verb("start", RUN, "labctl start pc1", "labctl start")
def start(reader: Reader, nodes: NodesArgument = None, instance: InstanceOption = None) -> None:
    """Start nodes that are off, on the disks they have."""
    from labctl.engine import at_work

    record, chosen = choose_nodes(nodes, instance)
    with progress(reader) as report:
        at_work.start(record, chosen or tuple(node.name for node in record.nodes), report)


@verb("down", RUN, "labctl down", "labctl down l2-switch", "labctl down pc3")
def down(reader: Reader, nodes: NodesArgument = None, instance: InstanceOption = None) -> None:
    """End a lab, or some of its nodes.

    Their disks are gone; nothing is left behind.
    """
    from labctl.engine.down import down as take_down
    from labctl.engine.down import down_nodes

    record, chosen = choose_nodes(nodes, instance)
    with progress(reader) as report:
        if chosen:
            down_nodes(record, chosen, report)
        else:
            take_down(record, report)

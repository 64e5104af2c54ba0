"""Verbs that look at wires: capture, trace."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from labctl.cli import complete
from labctl.cli.app import INSIDE, verb
from labctl.cli.labs import try_to_write, write_file
from labctl.cli.options import InstanceOption, JsonOption
from labctl.cli.progress import progress
from labctl.cli.reader import Reader
from labctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labctl.check.tracing import Hop, Trace
    from labctl.engine.instances import InstanceRecord

TRACE_SHAPE = """{"from": "pc1", "to": "web1", "address": "10.2.0.10", "by": "tcp/80", "answered": true, "ending": {"en": "…", "ja": "…"},
  "hops": [{"at_ms": 0.0, "from": "pc1:eth1", "to": "r1:eth1", "way": "there", "mac": ["52:54:…", "52:54:…"], "vlan": null,
    "address": ["10.1.0.10", "10.2.0.10"], "port": [40112, 80], "ttl": 64, "changed": [], "info": "…"}]}"""
WAYS = {"there": ("->", "blue"), "back": ("<-", "green"), "error": ("!", "red")}

WiresArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="NODE:IF… FILTER",
        help="Interfaces (all: every cable), then a pcap-filter(7), as in: pc1:eth1 icmp or arp.",
        autocompletion=complete.ends,
    ),
]


@verb(
    "capture",
    INSIDE,
    "labctl capture pc1:eth1",
    "labctl capture pc1:eth1 icmp or arp",
    "labctl capture r1:eth1 r2:eth2 --decode",
    "labctl capture all -w all.pcapng",
    "labctl capture sw1:port1 -w - | wireshark -k -i -",
)
def capture(
    reader: Reader,
    words: WiresArgument,
    write: Annotated[
        str | None,
        typer.Option("--write", "-w", metavar="FILE|-", help="To a file or standard output: pcap, or pcapng of several wires."),
    ] = None,
    decode: Annotated[bool, typer.Option("--decode", help="A line for each layer of each frame; otherwise one for each frame.")] = False,
    seconds: Annotated[float | None, typer.Option("--seconds", "-s", min=0.1, metavar="N", help="Stop after so long.")] = None,
    instance: InstanceOption = None,
) -> None:
    """See what passes on cables, until Ctrl-C.

    The capture is made on the wire, outside the node, and sees both directions. Several wires come merged in the order of time, each with
    its name.
    """
    from labctl.engine.instances import find_instance
    from labctl.engine.listening import ends_of, listen

    if write is not None and decode:
        raise UsageError("-w and --decode do not go together", hint="write the file first, then: tshark -r FILE")
    if write == "-" and sys.stdout.isatty():
        raise UsageError("a capture is no text for a terminal", hint=f"labctl capture {words[0]} -w - | wireshark -k -i -")
    record = find_instance(None, instance)
    ends, expression = ends_of(record, words)
    if write is None:
        return show(reader, record, ends, expression, layers=decode, seconds=seconds)
    record.need_running()
    if write != "-":
        try_to_write(Path(write))
    with _target(write) as output:
        if len(ends) == 1:
            listen(record, ends[0], output=output, complaints=sys.stderr.buffer, expression=expression, seconds=seconds)
        else:
            _write_all(reader, record, ends, expression, output, seconds)
    if write != "-":
        reader.remark(f"written: {write}")


def show(reader: Reader, record: "InstanceRecord", ends: "Sequence[str]", expression: str, *, layers: bool, seconds: float | None) -> None:
    """Frames as they pass, decoded. The first one's time is 0."""
    from labctl.check.decoding import render_layers, render_line
    from labctl.engine.ears import Ears
    from labctl.engine.listening import packets

    width, first_s = max(map(len, ends)), None
    with Ears(record, ends, expression) as ears:
        reader.remark(f"listening on {', '.join(ends)}; Ctrl-C ends it")
        for packet in packets(ears, ends, seconds):
            first_s = packet.at_s if first_s is None else first_s
            reader.say(render_layers(packet, first_s) if layers else render_line(packet, first_s, len(ends), width))
            sys.stdout.flush()


def _write_all(
    reader: Reader, record: "InstanceRecord", ends: "Sequence[str]", expression: str, output: IO[bytes], seconds: float | None
) -> None:
    from labctl.engine.ears import Ears
    from labctl.engine.listening import write_merged

    with Ears(record, ends, expression) as ears, suppress(KeyboardInterrupt):
        reader.remark(f"listening on {', '.join(ends)}; Ctrl-C ends it")
        write_merged(ears, ends, output, seconds)


@contextmanager
def _target(write: str) -> Iterator[IO[bytes]]:
    """The file that is named, or standard output, which stays open."""
    if write == "-":
        yield sys.stdout.buffer
        return
    with Path(write).open("wb") as file:
        yield file


@verb(
    "trace",
    INSIDE,
    "labctl trace pc1 web1",
    "labctl trace pc1 web1 tcp/80",
    "labctl trace 'pc1 -> 10.2.0.10' udp/53 --svg trace.svg",
    shape=TRACE_SHAPE,
)
def trace(
    reader: Reader,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="NODE TO [BY]", help="From a node to a node or address, by ping, tcp/80, udp/53 or http.", autocompletion=complete.nodes
        ),
    ],
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Draw it to a file too.")] = None,
    instance: InstanceOption = None,
    json: JsonOption = False,
) -> None:
    """Send one packet and show it on every cable.

    A packet (or the first one of a connection) is sent from NODE, and found again wherever it passes: MAC addresses, addresses, ports and
    TTL on each cable, and which of them changed on the way.
    """
    from labctl.check.trace_picture import render_svg, trace_json
    from labctl.engine import at_work
    from labctl.engine.instances import find_instance

    source, to, by = _way(words)
    record = find_instance(None, instance)
    if svg is not None:
        try_to_write(svg)
    with progress(reader) as report:
        found = at_work.trace(record, source, to, by, report)
    if svg is not None:
        write_file(svg, render_svg(found, reader.language))
        reader.remark(f"written: {svg}")
    return reader.data(trace_json(found)) if json else _print_trace(reader, found)


def _way(words: list[str]) -> tuple[str, str, str]:
    """`pc1 web1 tcp/80`, or with an arrow, in quotes, as the shell takes it for its own."""
    if "-" in words:
        raise UsageError("which way?", why="the shell took `>` for itself and wrote to a file", hint="labctl trace pc1 web1 tcp/80")
    parts = [part for word in words for part in word.split() if part != "->"]
    if len(parts) not in (2, 3):
        raise UsageError("a trace goes from a node to a node or address", hint="labctl trace pc1 web1 tcp/80")
    by = parts[2] if len(parts) == 3 else "ping"
    kind, slash, port = by.partition("/")
    ports = kind in ("tcp", "udp") and port.isdigit() and 0 < int(port) < 65536
    if not (ports or (kind in ("ping", "http") and not slash)):
        raise UsageError(f"'{by}' is no way of asking", hint="ping, tcp/80, udp/53 or http")
    return parts[0], parts[1], by


def _print_trace(reader: Reader, found: "Trace") -> None:
    from labctl.check.trace_picture import ending

    reader.say(f"{found.source} -> {found.target} ({found.address}) {found.by}: {ending(found).in_language(reader.language)}\n")
    vlans = any(hop.packet.vlan for hop in found.hops)
    heading = ["", "TIME", "CABLE", "MAC", *(["VLAN"] if vlans else []), "ADDRESS", "TTL", reader.choose("CHANGED", "変わったもの")]
    if found.hops:
        reader.table([_row(reader, hop, vlans=vlans) for hop in found.hops], heading=heading)


def _row(reader: Reader, hop: "Hop", *, vlans: bool) -> list[str]:
    """A hop; what changed on it is set off in colour, and named at the end."""
    from labctl.check.readable import one_line
    from labctl.check.trace_picture import addresses_of, changed_words

    def mark(words: str, *facts: str) -> str:
        return reader.paint(words, "yellow") if set(facts) & set(hop.changed) else words

    arrow, colour = WAYS[hop.way]
    source, target = addresses_of(hop)
    macs = f"{mark(hop.packet.mac[0], 'source MAC')} -> {mark(hop.packet.mac[1], 'destination MAC')}"
    ends = f"{mark(source, 'source address', 'source port')} -> {mark(target, 'destination address', 'destination port')}"
    about = one_line(hop.packet.info) if hop.way == "error" else changed_words(hop, reader.language)
    vlan = [mark(hop.packet.vlan, "VLAN")] if vlans else []
    cable = f"{hop.sender} {reader.paint('->', colour)} {hop.receiver}"
    return [arrow, f"{hop.at_s * 1000:.1f} ms", cable, macs, *vlan, ends, mark(hop.packet.ttl, "TTL"), about]

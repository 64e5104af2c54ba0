"""Frames decoded by tshark, layer by layer: what is asked of it, its rows as data, and how they are shown. Pure.

Owns the columns and the look of `capture`: one line for each frame, or (`--decode`) one for each of its layers. What guests sent is made
harmless before it is shown.
"""

from dataclasses import dataclass

from labctl.check.frames import NUMBER
from labctl.check.readable import one_line

FIELDS = (
    NUMBER, "frame.time_epoch", "frame.interface_name", "frame.len", "frame.protocols", "eth.src", "eth.dst", "vlan.id",
    "ip.src", "ip.dst", "ip.ttl", "ipv6.src", "ipv6.dst", "ipv6.hlim", "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport",
    "tcp.seq_raw", "tcp.ack_raw", "tcp.flags", "icmp.type", "icmpv6.type", "_ws.col.Protocol", "_ws.col.Info",
)  # fmt: skip
SYN, RST, ACK = 0x02, 0x04, 0x10
LONGEST_INFO = 160


@dataclass(frozen=True)
class Packet:
    """A frame as tshark read it. Of fields that a frame holds twice (an ICMP error quotes a packet) the first, which is the outer one's."""

    number: int
    at_s: float
    interface: str
    length: int
    protocols: tuple[str, ...]
    mac: tuple[str, str]  # source, destination
    vlan: str
    address: tuple[str, str]
    ttl: str
    port: tuple[str, str]
    seq: int | None
    ack: int | None
    flags: int
    icmp: str
    protocol: str
    info: str


def decode_argv(file: str, display_filter: str = "") -> tuple[str, ...]:
    """tshark on a capture (`-` is standard input), a row for each frame that matches, each written out at once."""
    fields = [word for name in FIELDS for word in ("-e", name)]
    matching = ("-Y", display_filter) if display_filter else ()
    return ("tshark", "-n", "-l", "-r", file, *matching, "-T", "fields", "-E", "separator=/t", "-E", "occurrence=f", *fields)


def parse_row(row: str) -> Packet | None:
    """A row of tshark's; None if it is something else."""
    values = row.rstrip("\n").split("\t")
    if len(values) != len(FIELDS):
        return None
    of = dict(zip(FIELDS, values, strict=True))
    try:
        return Packet(
            number=int(of[NUMBER]),
            at_s=float(of["frame.time_epoch"]),
            interface=of["frame.interface_name"],
            length=int(of["frame.len"]),
            protocols=tuple(of["frame.protocols"].split(":")),
            mac=(of["eth.src"], of["eth.dst"]),
            vlan=of["vlan.id"],
            address=(of["ip.src"] or of["ipv6.src"], of["ip.dst"] or of["ipv6.dst"]),
            ttl=of["ip.ttl"] or of["ipv6.hlim"],
            port=(of["tcp.srcport"] or of["udp.srcport"], of["tcp.dstport"] or of["udp.dstport"]),
            seq=int(of["tcp.seq_raw"]) if of["tcp.seq_raw"] else None,
            ack=int(of["tcp.ack_raw"]) if of["tcp.ack_raw"] else None,
            flags=int(of["tcp.flags"] or "0", 0),
            icmp=of["icmp.type"] or of["icmpv6.type"],
            protocol=of["_ws.col.Protocol"],
            info=of["_ws.col.Info"],
        )
    except ValueError:
        return None


def layers_of(packet: Packet) -> list[tuple[str, str]]:
    """The layers from below, each with its name and what it says."""
    layers = [("Ethernet", f"{packet.mac[0]} → {packet.mac[1]}")] if packet.mac[0] else []
    layers += [("VLAN", packet.vlan)] if packet.vlan else []
    if packet.address[0]:
        name = "IPv6" if ":" in packet.address[0] else "IPv4"
        layers.append((name, f"{packet.address[0]} → {packet.address[1]}  TTL {packet.ttl}"))
    if packet.port[0]:
        layers.append(("TCP" if packet.seq is not None else "UDP", f"{packet.port[0]} → {packet.port[1]}"))
    return [*layers, (packet.protocol, one_line(packet.info, LONGEST_INFO))]


def render_layers(packet: Packet, first_s: float) -> str:
    """`--decode`: the frame's number, time and wire, then a line for each layer."""
    head = f"{packet.number}  {packet.at_s - first_s:.6f} s  {packet.interface}  {packet.length} bytes"
    return "\n".join([head, *(f"    {name:<10}{words}" for name, words in layers_of(packet)), ""])


def render_line(packet: Packet, first_s: float, interfaces: int, width: int) -> str:
    """One line: time, wire where there are several, MAC addresses, addresses, what it is. `width`: of the longest interface's name."""
    where = f"{packet.interface:<{width}}  " if interfaces > 1 else ""
    vlan = f" vlan {packet.vlan}" if packet.vlan else ""
    addresses = f"  {packet.address[0]} → {packet.address[1]}" if packet.address[0] else ""
    info = one_line(packet.info, LONGEST_INFO)
    return f"{packet.at_s - first_s:10.6f}  {where}{packet.mac[0]} → {packet.mac[1]}{vlan}{addresses}  {packet.protocol}  {info}"

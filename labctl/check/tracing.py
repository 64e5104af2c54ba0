"""One recognisable packet, followed over every wire: what is sent, how it is recognised, what changed from hop to hop. Pure.

Owns recognition. An echo request, a datagram and a page's request carry a token, which routers and NAT leave alone; a TCP connection is
known by its first sequence number (RFC 9293, 3.4.1), and what answers it by the number that follows. Each frame was captured where it left
a node, so it stands here once for each cable.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from labctl.check.ask import UDP_PROBE
from labctl.check.decoding import ACK, RST, SYN, Packet

ECHO = {"8": "there", "128": "there", "0": "back", "129": "back"}  # RFC 792, RFC 4443


class Kind(StrEnum):
    PING = "ping"
    TCP = "tcp"
    UDP = "udp"
    HTTP = "http"


@dataclass(frozen=True)
class Hop:
    """A frame on one cable: `way` is there, back or error (an ICMP message about it). `changed`: words of `FACTS` that another has."""

    at_s: float
    sender: str
    receiver: str
    way: str
    packet: Packet
    changed: tuple[str, ...]

    @property
    def facts(self) -> dict[str, str]:
        one = self.packet
        values = (one.mac[0], one.mac[1], one.vlan, one.address[0], one.address[1], one.port[0], one.port[1], one.ttl)
        return dict(zip(FACTS, values, strict=True))


FACTS = (
    "source MAC", "destination MAC", "VLAN", "source address", "destination address", "source port", "destination port", "TTL",
)  # fmt: skip
FACTS_JA = dict(
    zip(
        FACTS,
        ("送信元 MAC", "宛先 MAC", "VLAN", "送信元アドレス", "宛先アドレス", "送信元ポート", "宛先ポート", "TTL"),
        strict=True,
    )
)


@dataclass(frozen=True)
class Trace:
    """Where the packet of `source` was seen, in the order of time. `answered`: the node itself got an answer; `said`: in its words."""

    source: str
    target: str
    address: str
    by: str
    answered: bool
    said: str
    hops: tuple[Hop, ...]

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes it came by, in the order in which they were met."""
        names = [end.partition(":")[0] for hop in self.hops for end in (hop.sender, hop.receiver)]
        return tuple(dict.fromkeys((self.source, *names)))

    @property
    def last(self) -> Hop | None:
        """The last cable on the way there."""
        return next((hop for hop in reversed(self.hops) if hop.way == "there"), None)


def kind_of(by: str) -> tuple[Kind, int]:
    """`tcp/80` → TCP, 80."""
    word, _, port = by.partition("/")
    return Kind(word), int(port or 80)


def render_stimulus(by: str, address: str, token: str, wait_s: int) -> str:
    """The command in the node that sends the packet; it succeeds if there is an answer. `token`: 16 hexadecimal digits."""
    kind, port = kind_of(by)
    quoted = shlex.quote(address)
    match kind:
        case Kind.PING:
            return f"ping -n -c 1 -W {wait_s} -p {token} -- {quoted}"
        case Kind.TCP:
            return f"nc -v -z -w {2 * wait_s} -- {quoted} {port}"
        case Kind.UDP:
            probe = f"python3 -I -S -c {shlex.quote(UDP_PROBE)} {quoted} {port} {token} {2 * wait_s}"
            return f'said=$({probe}) || exit; echo "$said"; [ "$said" = answered ]'
        case Kind.HTTP:
            url = f"http://[{address}]/" if ":" in address else f"http://{address}/"
            return f"curl -sS -o /dev/null -m {5 * wait_s} -H 'X-Trace: {token}' -w 'HTTP %{{http_code}}\\n' --url {shlex.quote(url)}"


def display_filter(by: str, token: str) -> str:
    """tshark's filter for all that may belong to it."""
    marked = "frame contains " + ":".join(token[place : place + 2] for place in range(0, len(token), 2))
    kind, _ = kind_of(by)
    return {
        Kind.PING: marked,
        Kind.TCP: "tcp.flags.syn == 1 || tcp.flags.reset == 1",
        Kind.UDP: f"udp || {marked}",
        Kind.HTTP: f'frame contains "{token}"',
    }[kind]


def follow(packets: Sequence[Packet], by: str, source: str, far: Mapping[str, str]) -> tuple[Hop, ...]:
    """The hops among what was captured. `far`: interface → the one at the other end of its cable."""
    kind, port = kind_of(by)
    ordered = sorted(packets, key=lambda packet: packet.at_s)
    ways = {Kind.PING: _echo_ways, Kind.TCP: _tcp_ways, Kind.UDP: _udp_ways, Kind.HTTP: _http_ways}[kind](ordered, port, source)
    hops: list[Hop] = []
    seen = set()
    for packet, way in ways:
        key = (packet.interface, way, packet.mac, packet.vlan, packet.address, packet.port, packet.ttl)
        if packet.interface in far and key not in seen:  # sent again, it is the same to a reader
            seen.add(key)
            hop = Hop(packet.at_s - ordered[0].at_s, packet.interface, far[packet.interface], way, packet, ())
            hops.append(_compared(hop, hops))
    return tuple(Hop(hop.at_s - hops[0].at_s, hop.sender, hop.receiver, hop.way, hop.packet, hop.changed) for hop in hops)


Ways = list[tuple[Packet, str]]


def _echo_ways(packets: Sequence[Packet], port: int, source: str) -> Ways:
    return [(packet, ECHO.get(packet.icmp, "error")) for packet in packets]


def _tcp_ways(packets: Sequence[Packet], port: int, source: str) -> Ways:
    first = next((one for one in packets if _begins(one) and _node(one) == source and one.port[1] == str(port)), None)
    if first is None or first.seq is None:
        return []
    answer = (first.seq + 1) % 2**32
    there = [(one, "there") for one in packets if _begins(one) and one.seq == first.seq]
    back = [(one, "back") for one in packets if one.flags & ACK and one.flags & (SYN | RST) and one.ack == answer]
    return sorted([*there, *back], key=lambda pair: pair[0].at_s)


def _begins(packet: Packet) -> bool:
    return packet.flags & (SYN | ACK) == SYN


def _udp_ways(packets: Sequence[Packet], port: int, source: str) -> Ways:
    """What goes the other way on the same cable between the same two ends is the answer."""
    ways: Ways = []
    asked: set[tuple[tuple[str, str], tuple[str, str]]] = set()
    begun = False
    for one in packets:
        begun = begun or (_node(one) == source and one.port[1] == str(port) and not one.icmp)
        if not begun:
            continue
        back = ((one.address[1], one.address[0]), (one.port[1], one.port[0]))
        if one.icmp:
            ways.append((one, "error"))
        elif back in asked:
            ways.append((one, "back"))
        elif one.port[1] == str(port) or asked:
            asked.add((one.address, one.port))
            ways.append((one, "there"))
    return ways


def _http_ways(packets: Sequence[Packet], port: int, source: str) -> Ways:
    return [(packet, "there") for packet in packets]


def _node(packet: Packet) -> str:
    return packet.interface.partition(":")[0]


def _compared(hop: Hop, before: Sequence[Hop]) -> Hop:
    """The hop, with what is other than when it came into the node that sent it now."""
    same = [other for other in before if other.way == hop.way]
    node = hop.sender.partition(":")[0]
    entered = next((other for other in reversed(same) if other.receiver.partition(":")[0] == node), same[-1] if same else None)
    changed = tuple(fact for fact in FACTS if entered is not None and entered.facts[fact] != hop.facts[fact])
    return Hop(hop.at_s, hop.sender, hop.receiver, hop.way, hop.packet, changed)

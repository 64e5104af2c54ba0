"""A packet is recognised on every cable, its changes are told, and it is drawn."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.check.decoding import ACK, RST, SYN, Packet
from labctl.check.trace_picture import ending, render_svg, trace_json
from labctl.check.tracing import Trace, display_filter, follow, render_stimulus
from tests.unit.conftest import Golden

FAR = {"pc1:eth1": "nat1:eth1", "nat1:eth1": "pc1:eth1", "nat1:eth2": "web1:eth1", "web1:eth1": "nat1:eth2"}
PICTURES = Path(__file__).parent.parent / "golden" / "trace"


def packet(interface: str, at_s: float, source: str, target: str, ttl: int = 64, **more: object) -> Packet:
    macs = {"pc1:eth1": ("aa", "bb"), "nat1:eth1": ("bb", "aa"), "nat1:eth2": ("cc", "dd"), "web1:eth1": ("dd", "cc")}
    (one, one_port), (other, other_port) = (text.partition("/")[::2] for text in (source, target))
    base = Packet(
        1,
        at_s,
        interface,
        60,
        ("eth", "ip"),
        macs[interface],
        "",
        (one, other),
        str(ttl),
        (one_port, other_port),
        None,
        None,
        0,
        "",
        "",
        "",
    )
    return replace(base, **more)  # type: ignore[arg-type]


def syn(interface: str, at_s: float, source: str, target: str, ttl: int = 64, seq: int = 1000) -> Packet:
    return packet(interface, at_s, source, target, ttl, seq=seq, flags=SYN)


CONNECTION = [
    syn("pc1:eth1", 1.0, "10.0.0.2/4000", "203.0.113.5/80"),
    syn("nat1:eth2", 1.1, "198.51.100.1/5000", "203.0.113.5/80", 63),
    packet("web1:eth1", 1.2, "203.0.113.5/80", "198.51.100.1/5000", flags=SYN | ACK, seq=7, ack=1001),
    packet("nat1:eth1", 1.3, "203.0.113.5/80", "10.0.0.2/4000", 63, flags=SYN | ACK, seq=7, ack=1001),
]
OTHERS = [
    syn("pc1:eth1", 1.05, "10.0.0.2/4001", "203.0.113.5/80", seq=2000),
    packet("web1:eth1", 1.25, "203.0.113.5/80", "198.51.100.1/5001", flags=SYN | ACK, seq=8, ack=2001),
    syn("pc1:eth1", 2.0, "10.0.0.2/4000", "203.0.113.5/80"),  # sent again
]


def trace(*packets: Packet, by: str = "tcp/80", answered: bool = True) -> Trace:
    return Trace("pc1", "web1", "203.0.113.5", by, answered, "timed out", follow(packets, by, "pc1", FAR))


def test_a_connection_is_followed_through_nat_and_back_and_no_other_one_is() -> None:
    found = trace(*OTHERS, *CONNECTION)
    assert [(hop.sender, hop.receiver, hop.way) for hop in found.hops] == [
        ("pc1:eth1", "nat1:eth1", "there"),
        ("nat1:eth2", "web1:eth1", "there"),
        ("web1:eth1", "nat1:eth2", "back"),
        ("nat1:eth1", "pc1:eth1", "back"),
    ]
    assert found.hops[0].changed == ()
    assert found.hops[1].changed == ("source MAC", "destination MAC", "source address", "source port", "TTL")
    assert found.hops[3].changed == ("source MAC", "destination MAC", "destination address", "destination port", "TTL")
    assert found.nodes == ("pc1", "nat1", "web1")
    assert ending(found).en == "answered"


def test_a_refused_connection_comes_back_as_a_reset() -> None:
    reset = packet("nat1:eth1", 1.1, "203.0.113.5/80", "10.0.0.2/4000", flags=RST | ACK, seq=0, ack=1001)
    found = trace(CONNECTION[0], reset, answered=False)
    assert [hop.way for hop in found.hops] == ["there", "back"]
    assert ending(found).en == "refused: nat1 answered with a reset (RST)"


def test_an_echo_is_followed_by_its_type_and_an_error_about_it_is_told() -> None:
    request = packet("pc1:eth1", 1.0, "10.0.0.2", "203.0.113.5", icmp="8")
    gone = packet("nat1:eth1", 1.1, "10.0.0.1", "10.0.0.2", icmp="3", info="Destination unreachable")
    found = trace(request, gone, by="ping", answered=False)
    assert [hop.way for hop in found.hops] == ["there", "error"]
    assert ending(found).en == "refused by nat1: Destination unreachable"


def test_a_datagram_is_followed_there_and_its_answer_back() -> None:
    there = packet("pc1:eth1", 1.0, "10.0.0.2/4000", "203.0.113.5/53")
    on = packet("nat1:eth2", 1.1, "198.51.100.1/5000", "203.0.113.5/53", 63)
    back = packet("web1:eth1", 1.2, "203.0.113.5/53", "198.51.100.1/5000")
    before = packet("web1:eth1", 0.5, "203.0.113.5/123", "203.0.113.6/123")
    assert [hop.way for hop in trace(before, there, on, back, by="udp/53").hops] == ["there", "there", "back"]


def test_a_packet_that_is_lost_ends_where_it_was_seen_last() -> None:
    assert ending(trace(CONNECTION[0], answered=False)).en == "no answer: it reached nat1 and went no further"
    assert ending(trace(*CONNECTION[:3], answered=False)).en == "the answer of web1 was lost behind nat1"
    assert ending(trace(answered=False)).en == "it never left pc1 (timed out)"


@pytest.mark.parametrize(
    ("by", "command", "matching"),
    [
        ("ping", "ping -n -c 1 -W 2 -p 00112233aabbccdd -- 10.0.0.1", "frame contains 00:11:22:33:aa:bb:cc:dd"),
        ("tcp/80", "nc -v -z -w 4 -- 10.0.0.1 80", "tcp.flags.syn == 1 || tcp.flags.reset == 1"),
        ("udp/53", "10.0.0.1 53 00112233aabbccdd 4", "udp || frame contains 00:11:22:33:aa:bb:cc:dd"),
        ("http", "-H 'X-Trace: 00112233aabbccdd'", 'frame contains "00112233aabbccdd"'),
    ],
)
def test_each_way_of_asking_sends_what_can_be_found_again(by: str, command: str, matching: str) -> None:
    assert command in render_stimulus(by, "10.0.0.1", "00112233aabbccdd", 2)
    assert display_filter(by, "00112233aabbccdd") == matching


def test_a_trace_is_data_and_a_picture(golden: Golden) -> None:
    found = trace(*CONNECTION)
    golden(PICTURES / "nat.svg", render_svg(found))
    golden(PICTURES / "nat.json", json.dumps(trace_json(found), indent=1) + "\n")

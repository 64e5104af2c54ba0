"""Captures of several wires as one file with the lab's names, and frames decoded: held against tshark itself."""

import subprocess
from pathlib import Path

import pytest

from labctl.check.decoding import FIELDS, Packet, decode_argv, layers_of, parse_row, render_layers, render_line
from labctl.check.frames import SETTINGS
from labctl.check.pcapng import PcapReader, Record, render_head, render_record
from tests.unit.check.captures import ECHO_REPLY, ping_frame, write_pcap

ONE, OTHER = ("52:54:00:00:00:11", "192.168.1.11"), ("52:54:00:00:00:12", "192.168.1.12")
NAMES = ("pc1:eth1", "sw1:port1")


def frames(place: Path, *frames: bytes) -> bytes:
    write_pcap(place, list(frames))
    return place.read_bytes()


def decoded(file: Path) -> list[Packet]:
    environment = {"PATH": "/usr/bin:/bin", **SETTINGS}
    done = subprocess.run(decode_argv(str(file)), capture_output=True, text=True, check=True, env=environment)
    return [packet for row in done.stdout.splitlines() if (packet := parse_row(row))]


def test_a_stream_in_pieces_of_any_size_gives_the_same_frames(tmp_path: Path) -> None:
    data = frames(tmp_path / "a.pcap", ping_frame(ONE, OTHER, 1, 8), ping_frame(OTHER, ONE, 1, ECHO_REPLY))
    whole = PcapReader(0).feed(data)
    reader = PcapReader(0)
    assert [one for place in range(len(data)) for one in reader.feed(data[place : place + 1])] == whole
    assert [one.data for one in whole] == [ping_frame(ONE, OTHER, 1, 8), ping_frame(OTHER, ONE, 1, ECHO_REPLY)]


def test_what_is_no_pcap_is_refused() -> None:
    with pytest.raises(ValueError, match="no pcap"):
        PcapReader(0).feed(b"tcpdump: you don't have permission to capture on that device")


def test_tshark_reads_the_merged_file_with_the_names_of_the_lab_and_all_layers(tmp_path: Path) -> None:
    request, reply = ping_frame(ONE, OTHER, 1, 8), ping_frame(OTHER, ONE, 1, ECHO_REPLY)
    records = [Record(2_000_000_001, 1, reply), Record(1_000_000_000, 0, request), Record(1_000_500_000, 1, request)]
    file = tmp_path / "merged.pcapng"
    file.write_bytes(render_head(NAMES) + b"".join(map(render_record, sorted(records))))
    packets = decoded(file)
    assert [(one.interface, round(one.at_s, 6)) for one in packets] == [("pc1:eth1", 1.0), ("sw1:port1", 1.0005), ("sw1:port1", 2.0)]
    first = packets[0]
    assert first.mac == (ONE[0], OTHER[0])
    assert first.address == (ONE[1], OTHER[1])
    assert (first.icmp, packets[2].icmp) == ("8", "0")
    assert first.protocols[:3] == ("eth", "ethertype", "ip")
    assert layers_of(first)[0] == ("Ethernet", "52:54:00:00:00:11 → 52:54:00:00:00:12")
    assert layers_of(first)[1][0] == "IPv4"
    assert layers_of(first)[-1][0] == "ICMP"
    assert "52:54:00:00:00:11 → 52:54:00:00:00:12" in render_line(first, first.at_s, 2, 9)
    assert render_layers(packets[2], 1.0).startswith("3  1.000000 s  sw1:port1  ")


def test_a_row_that_tshark_never_prints_is_none() -> None:
    assert parse_row("") is None
    assert parse_row("\t".join(["x"] * len(FIELDS))) is None


def test_what_a_guest_sent_steers_no_terminal() -> None:
    row = "\t".join(
        ["1", "1.0", "pc1:eth1", "60", "eth:ip", *ONE[:1], *OTHER[:1], "", ONE[1], OTHER[1], "64", *[""] * 12, "HTTP", "\x1b[2J"]
    )
    packet = parse_row(row)
    assert packet is not None
    assert "\x1b" not in render_line(packet, 0, 1, 8) + render_layers(packet, 0)

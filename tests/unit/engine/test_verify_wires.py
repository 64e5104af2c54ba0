"""Captures read by the real tshark."""

from pathlib import Path

from labctl.check.frames import values_of
from labctl.engine.evidence import decode
from tests.unit.check.captures import ethernet, ipv4, ping_frame, udp, write_pcap

PC1, PC2 = ("52:54:00:00:00:11", "192.168.1.11"), ("52:54:00:00:00:12", "192.168.1.12")
PINGS = [ping_frame(PC1, PC2, 1), ping_frame(PC2, PC1, 1, kind=0), ethernet(PC1[0], "ff:ff:ff:ff:ff:ff", b"\0" * 46, 0x88B5)]


def test_a_display_filter_and_fields(tmp_path: Path) -> None:
    sight = decode(write_pcap(tmp_path / "a.pcap", PINGS), "icmp", ["ip.src", "icmp.type"])
    assert sight.trouble is None
    assert [frame.number for frame in sight.frames] == [1, 2]
    assert [frame.data for frame in sight.frames] == PINGS[:2]
    assert values_of(sight.frames, "ip.src") == {"192.168.1.11", "192.168.1.12"}
    assert sight.passed_in_all == 3


def test_no_filter_is_every_frame(tmp_path: Path) -> None:
    assert len(decode(write_pcap(tmp_path / "a.pcap", PINGS), "", []).frames) == 3


def test_two_passes_know_which_reply_belongs_to_a_request(tmp_path: Path) -> None:
    assert [frame.number for frame in decode(write_pcap(tmp_path / "a.pcap", PINGS), "icmp.resp_in", []).frames] == [1]


def test_values_may_hold_any_character(tmp_path: Path) -> None:
    data = b'tab\there, comma; "quote" | newline\n \x1b[31m \xff'
    frame = ethernet(PC1[0], PC2[0], ipv4(PC1[1], PC2[1], 17, udp(5000, 514, b"<14>" + data)))
    sight = decode(write_pcap(tmp_path / "a.pcap", [frame]), "syslog", ["syslog.msg", "udp.payload"])
    assert [bytes.fromhex(value.replace(":", "")) for value in values_of(sight.frames, "udp.payload")] == [b"<14>" + data]
    (message,) = values_of(sight.frames, "syslog.msg")
    assert message.startswith('tab\there, comma; "quote" | newline')


def test_an_empty_capture_still_reads_the_filter(tmp_path: Path) -> None:
    empty = write_pcap(tmp_path / "a.pcap", [])
    assert decode(empty, "icmp", []).trouble is None
    for wrong in ("icmp &&", "nonsense.field == 1", "ip.src == 999.1.1.1"):
        trouble = decode(empty, wrong, []).trouble
        assert trouble is not None
        assert trouble.en.startswith("tshark refuses: tshark: "), trouble
    trouble = decode(empty, "", ["no.such.field"]).trouble
    assert trouble is not None
    assert "no.such.field" in trouble.en


def test_a_filter_that_looks_like_an_option_is_a_filter(tmp_path: Path) -> None:
    target = tmp_path / "evil"
    trouble = decode(write_pcap(tmp_path / "a.pcap", PINGS), f"-w{target}", []).trouble
    assert trouble is not None
    assert not target.exists()


def test_files_that_are_no_capture(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    for name in ("empty", "missing"):
        trouble = decode(tmp_path / name, "", []).trouble
        assert trouble is not None
        assert trouble.en.startswith("the capture cannot be read")

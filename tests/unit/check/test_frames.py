"""What tshark is told, and what pcap files hold. Running it on real captures is in tests/unit/engine/test_verify_wires.py."""

from pathlib import Path

import pytest

from labctl.check.frames import Frame, parse_frames, plain_value, read_records, tshark_argv, tshark_complaint, values_of, with_bytes
from tests.unit.check.captures import pcap


def test_a_filter_is_one_argument_and_fields_follow() -> None:
    argv = tshark_argv(Path("/x/a b.pcap"), "icmp && ip.src == 10.0.0.1", ["ip.src"])
    assert argv[:7] == ("tshark", "-n", "-2", "-r", "/x/a b.pcap", "-Y", "icmp && ip.src == 10.0.0.1")
    assert argv[7:] == ("-T", "json", "-e", "frame.number", "-e", "ip.src")
    assert "-Y" not in tshark_argv(Path("a"), "", [])


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_bytes_of_a_capture(order: str) -> None:
    assert read_records(pcap([b"one", b"", b"three"], order)) == (b"one", b"", b"three")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"x" * 40, "no pcap"),
        (pcap([b"one"])[:-1], "cut off"),
        (pcap([b"one"])[:30], "cut off"),
        (pcap([])[:20], "no pcap"),
    ],
)
def test_a_file_that_is_no_whole_capture(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_records(data)


def test_an_answer_that_is_not_tsharks() -> None:
    for text in ("", "{}", "[1]", '[{"_source": {"layers": {}}}]', '[{"_source": {"layers": {"frame.number": ["x"]}}}]'):
        if text == "{}":
            assert parse_frames(text) == ()
            continue
        with pytest.raises(ValueError, match="cannot be read"):
            parse_frames(text)


def test_frames_get_their_bytes_by_number() -> None:
    assert with_bytes((Frame(2), Frame(3)), (b"a", b"b", b"c")) == (Frame(2, {}, b"b"), Frame(3, {}, b"c"))


def test_remarks_of_tshark_are_left_out() -> None:
    said = 'Running as user "root" and group "root". This could be dangerous.\ntshark: "x" is no field.\n'
    assert tshark_complaint(said) == 'tshark: "x" is no field.'


def test_values_are_gathered_from_all_frames_and_layers() -> None:
    frames = (Frame(1, {"ip.ttl": ("64", "63")}), Frame(2, {"ip.ttl": ("64",)}), Frame(3, {}))
    assert values_of(frames, "ip.ttl") == {"64", "63"}


@pytest.mark.parametrize(
    ("value", "plain"),
    [("0x0800", "2048"), ("0x00000800", "2048"), ("010", "010"), ("1.10", "1.10"), ("AA:bb:CC:00:11:22", "aa:bb:cc:00:11:22")],
)
def test_one_form_for_each_value(value: str, plain: str) -> None:
    assert plain_value(value) == plain

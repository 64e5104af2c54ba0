"""Impairments of links, each measured against what was asked: on real machines, by captures outside them.

Bounds: counts of frames are held to five standard deviations of what chance allows, so one run in a million is red by chance. netem lets
nothing go early, so a delay is never shorter than asked (by more than a tick of 4 ms); how much later a frame is seen depends on the
machine, so upper bounds take the quickest of many and leave room for an emulator with its cores busy.
"""

import json
import os
import re
import signal
import struct
import threading
import time
from collections.abc import Callable
from itertools import accumulate
from math import sqrt

import pytest

from tests.e2e.conftest import Labctl

pytestmark = pytest.mark.e2e
LAB = """\
name: worse
title: Two hosts on a link that can be made worse
nodes: {pc1: host, pc2: host}
links: [{ends: pc1:eth1 -- pc2:eth1, delay: 30ms}]
addresses: {pc1: {eth1: 10.0.0.1/24}, pc2: {eth1: 10.0.0.2/24}}
checks:
  - id: reaches
    says: pc1 reaches pc2
    do: {impair: pc1:eth1, one_way: true, duplicate: 1%}
    see: {reach: pc1 -> 10.0.0.2}
    sabotage: {impair: pc2:eth1, one_way: true, loss: 100%}
"""
FRAMES = 1000
SEND = """
import socket, struct, sys, time
count, size, pause = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
    wire.connect(("10.0.0.2", 9))
    for number in range(count):
        try:
            wire.send(struct.pack("!I", number) + b"x" * (size - 46))
        except ConnectionRefusedError:  # the other host says that nobody listens
            wire.send(struct.pack("!I", number) + b"x" * (size - 46))
        time.sleep(pause)
"""
TICK_MS = 4


@pytest.fixture(scope="module")
def lab(shared_labctl: Labctl, tmp_path_factory: pytest.TempPathFactory) -> Labctl:
    place = tmp_path_factory.mktemp("worse")
    (place / "lab.yaml").write_text(LAB)
    shared_labctl("up", str(place))
    shared_labctl("exec", "pc2", "--", "nft add table ip quiet; nft 'add chain ip quiet in { type filter hook input priority 0; }';"
                  "nft add rule ip quiet in udp dport 9 drop")  # fmt: skip
    shared_labctl("exec", "pc1", "--", "ip neigh replace 10.0.0.2 lladdr $(ping -c 1 10.0.0.2 >/dev/null; ip neigh show 10.0.0.2 "
                  "| sed 's/.*lladdr //; s/ .*//') dev eth1 nud permanent")  # fmt: skip
    return shared_labctl


def round_trips_ms(lab: Labctl, count: int = 20) -> list[float]:
    text = lab.text("exec", "pc1", "--", f"ping -c {count} -i 0.1 -W 5 10.0.0.2")
    return [float(found) for found in re.findall(r"time=([0-9.]+) ms", text)]


def arriving(lab: Labctl, *, size: int = 100, count: int = FRAMES, pause_s: float = 0.002) -> list[tuple[float, bytes]]:
    """What arrives at pc2 of `count` frames of `size` bytes from pc1, with the time of each.

    By a pipe: a busy disk would make tcpdump wait. It is ended once nothing has come for a while.
    """
    capture = lab.start("capture", "pc2:eth1", "-w", "-")
    assert capture.stdout is not None
    assert capture.stderr is not None
    while b"listening on" not in capture.stderr.readline():
        assert capture.poll() is None
    came: list[bytes] = []
    reader = threading.Thread(target=_read_all, args=(capture.stdout.fileno(), came))
    reader.start()
    lab("exec", "pc1", "--", "python3", "-I", "-S", "-c", SEND, str(count), str(size), str(pause_s))
    before = -1
    while before != len(came):
        before = len(came)
        time.sleep(3)
    capture.send_signal(signal.SIGINT)
    reader.join(timeout=30)
    capture.communicate(timeout=30)
    return [(when, frame) for when, frame in records(b"".join(came)) if len(frame) == size]


def _read_all(file: int, came: list[bytes]) -> None:
    while piece := os.read(file, 65536):
        came.append(piece)


def records(data: bytes) -> list[tuple[float, bytes]]:
    found, at = [], 24
    while at < len(data):
        seconds, micro, length, _ = struct.unpack("<IIII", data[at : at + 16])
        found.append((seconds + micro / 1e6, data[at + 16 : at + 16 + length]))
        at += 16 + length
    return found


def numbers(frames: list[tuple[float, bytes]]) -> list[int]:
    return [int.from_bytes(frame[42:46], "big") for _, frame in frames]


def intact(frame: bytes, whole: bytes) -> bool:
    """As it was sent: the addresses, and both checksums (RFC 791, 3.1; RFC 768)."""
    pseudo = frame[26:34] + b"\0\x11" + frame[38:40]
    return frame[:14] == whole[:14] and _sum(frame[14:34]) == 0xFFFF and _sum(pseudo + frame[34:]) == 0xFFFF


def _sum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) // 2 * 2])) + (data[-1] << 8 if len(data) % 2 else 0)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def near(share: float) -> Callable[[int], bool]:
    """Within five standard deviations of a share of FRAMES."""
    expected, deviation = share * FRAMES, sqrt(share * (1 - share) * FRAMES)
    return lambda found: abs(found - expected) <= 5 * deviation


def test_delay_and_jitter_of_each_direction_are_what_the_file_and_link_set_say(lab: Labctl) -> None:
    assert 60 - TICK_MS <= min(round_trips_ms(lab)) < 90, "30 ms there and 30 ms back, from the lab file"
    lab("link", "set", "pc1:eth1", "--delay", "100ms", "--one-way")
    assert 130 - TICK_MS <= min(round_trips_ms(lab)) < 160
    lab("link", "set", "pc2:eth1", "--delay", "100ms", "--jitter", "50ms")
    trips = round_trips_ms(lab, 40)
    assert 100 - TICK_MS <= min(trips) < 185, "200 ms, and up to 50 ms less or more in each direction: three of ten are below 175"
    shown = lab.json("link", "show")[0]
    assert shown["a_to_b"] == shown["b_to_a"] == {"delay": "100ms", "jitter": "50ms"}
    lab("link", "reset", "pc1:eth1")
    assert 60 - TICK_MS <= min(round_trips_ms(lab)) < 90, "as the lab file says again"
    assert lab.json("link", "show")[0]["b_to_a"] == {"delay": "30ms"}


def test_loss_duplicates_wrong_bits_and_another_order_come_in_the_share_that_was_asked(lab: Labctl) -> None:
    lab("link", "set", "pc1:eth1", "--delay", "0ms", "--loss", "20%", "--one-way")
    whole = arriving(lab)
    assert near(0.8)(len(whole)), f"{len(whole)} of {FRAMES} arrived"
    lab("link", "set", "pc1:eth1", "--loss", "0%", "--duplicate", "20%", "--one-way")
    twice = arriving(lab)
    assert near(0.2)(len(twice) - FRAMES), f"{len(twice)} arrived of {FRAMES}"
    assert len(set(numbers(twice))) == FRAMES
    lab("link", "set", "pc1:eth1", "--duplicate", "0%", "--corrupt", "20%", "--one-way")
    wrong = [frame for _, frame in arriving(lab) if not intact(frame, whole[0][1])]
    assert near(0.2)(len(wrong)), f"{len(wrong)} of {FRAMES} are wrong"
    lab("link", "set", "pc1:eth1", "--corrupt", "0%", "--delay", "200ms", "--reorder", "25%", "--one-way")
    order = numbers(arriving(lab))
    smallest_after = list(accumulate(reversed(order), min))[::-1]
    early = sum(number > after for number, after in zip(order, smallest_after[1:], strict=False))
    assert len(order) == FRAMES
    assert near(0.25)(early), f"{early} of {FRAMES} overtook another"
    lab("link", "reset")


def test_rate_and_mtu_hold(lab: Labctl) -> None:
    """netem keeps to its own clock: no faster than asked, but for what a stalled machine catches up; a busy one may be slower."""
    lab("link", "reset")
    lab("link", "set", "pc1:eth1", "--rate", "1mbit", "--mtu", "1400", "--one-way")
    passed = arriving(lab, size=1250, count=120)
    mbit = (len(passed) - 1) * 1250 * 8 / (passed[-1][0] - passed[0][0]) / 1e6
    assert len(passed) == 120
    assert 0.75 <= mbit <= 1.05, f"{mbit:.3f} Mbit/s"
    lab("exec", "pc1", "--", "ping -c 1 -M do -s 1372 -W 5 10.0.0.2")
    refused = lab("exec", "pc1", "--", "ping -c 1 -M do -s 1373 -W 5 10.0.0.2", status=1)
    assert b"too long" in refused.stdout + refused.stderr
    lab("link", "reset")
    lab("exec", "pc1", "--", "ping -c 1 -M do -s 1472 -W 5 10.0.0.2")


def test_an_impairment_survives_a_reboot_and_up_takes_it_back(lab: Labctl) -> None:
    lab("link", "set", "pc1:eth1", "--delay", "100ms", "--one-way")
    lab("halt", "pc1")
    assert "pc1 is off" in lab("link", "set", "pc2:eth1", "--loss", "1%", status=2).stderr.decode()
    lab("start", "pc1")
    assert 130 - TICK_MS <= min(round_trips_ms(lab)) < 160
    file = lab.record("worse")["file"]
    assert "configure pc1" in lab.text("plan", file)
    lab("up", file)
    assert 60 - TICK_MS <= min(round_trips_ms(lab)) < 90
    assert json.loads(lab.text("plan", file, "--json"))["steps"] == []


def test_impair_is_an_action_like_any_other_and_is_undone(lab: Labctl) -> None:
    assert lab.json("selftest", "worse")[0]["proven"]
    assert 60 - TICK_MS <= min(round_trips_ms(lab)) < 90

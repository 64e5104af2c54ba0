"""Several wires listened on at once: real taps in a throw-away namespace, frames as machines would send them, no machine needed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.check.decoding import Packet
from labctl.check.pcapng import PcapReader
from labctl.engine.capture import capture, file_in_memory, path_of
from labctl.engine.ears import Ears
from labctl.engine.instances import InstanceRecord, NodeRecord, PortRecord, boot_id
from labctl.engine.listening import ends_of, packets, write_merged
from labctl.errors import CommandError, UsageError
from labctl.host import wires
from labctl.host.namespace import inside, kill_namespace, short_place, start_namespace
from tests.unit.check.captures import ECHO_REPLY, ping_frame

pytestmark = pytest.mark.e2e

SEND = """
import fcntl, json, os, struct, sys, time
def tap(name):  # what is written comes out of the tap, as if the guest had sent it
    file = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(file, 0x400454CA, struct.pack("16sH22s", name.encode(), 0x0002 | 0x1000, b""))
    return file
taps = {name: tap(name) for name in ("n0p0", "n1p0", "n1p1", "n2p0")}
time.sleep(0.5)
for name, text in json.load(sys.stdin):
    os.write(taps[name], bytes.fromhex(text))
    time.sleep(0.02)
time.sleep(1)
"""
PC1, PC2 = ("52:54:00:00:00:11", "192.168.1.11"), ("52:54:00:00:00:12", "192.168.1.12")
REQUEST, REPLY = ping_frame(PC1, PC2, 1), ping_frame(PC2, PC1, 1, ECHO_REPLY)
# pc1 asks, the switch passes it on; pc2 answers, the switch passes that on
SENT = [("n0p0", REQUEST), ("n1p1", REQUEST), ("n2p0", REPLY), ("n1p0", REPLY)]
LEFT = ["pc1:eth1", "sw1:port2", "pc2:eth1", "sw1:port1"]


def _node(name: str, index: int, ports: tuple[str, ...]) -> NodeRecord:
    nics = tuple(PortRecord(port, f"n{index}p{number}", "") for number, port in enumerate(ports))
    return NodeRecord(name, index, "host", 256, 1, "", "", nics, "")


@pytest.fixture
def record(tmp_path: Path) -> Iterator[InstanceRecord]:
    (tmp_path / "log").mkdir()
    first = start_namespace(tmp_path, short_place(tmp_path))
    ports = {"pc1": ("eth1",), "sw1": ("port1", "port2"), "pc2": ("eth1",)}
    nodes = tuple(_node(name, index, ports[name]) for index, name in enumerate(ports))
    taps = [wires.make_tap(port.tap) for node in nodes for port in node.ports]
    wires.carry_out(first, [*taps, wires.connect("n0p0", "n1p0"), wires.connect("n1p1", "n2p0")])
    yield InstanceRecord(
        id="wires", lab="wires", file="", variant="default", digest="", directory=tmp_path, short="", created=0.0,
        accelerator="", time_scale=1,
        first_pid=first.pid, first_started=first.started, boot_id=boot_id(), nodes=nodes,
        cables=(("pc1:eth1", "sw1:port1"), ("sw1:port2", "pc2:eth1")),
    )  # fmt: skip
    kill_namespace(first)


def send(record: InstanceRecord) -> None:
    frames = json.dumps([(tap, frame.hex()) for tap, frame in SENT])
    subprocess.run(inside(record.first, (sys.executable, "-c", SEND)), input=frames, text=True, check=True, timeout=60)


def in_background(record: InstanceRecord) -> threading.Thread:
    thread = threading.Thread(target=send, args=(record,))
    thread.start()
    return thread


def test_several_wires_are_one_stream_in_the_order_of_time_with_the_names_of_the_lab(record: InstanceRecord, tmp_path: Path) -> None:
    ends, expression = ends_of(record, ["all", "pc2:eth1", "icmp", "or", "arp"])
    assert (ends, expression) == (("pc1:eth1", "sw1:port2", "pc2:eth1"), "icmp or arp")
    with Ears(record, ends, expression) as ears:
        sending = in_background(record)
        found = list(packets(ears, ends, seconds=8))
        sending.join()
    seen = [(one.interface, one.info.split()[2]) for one in found]
    assert seen[0] == ("pc1:eth1", "request")
    assert sorted(seen) == sorted([(end, kind) for end in ends for kind in ("request", "reply")]), "both directions, once at each wire"
    assert [one.at_s for one in found] == sorted(one.at_s for one in found)
    assert all(isinstance(one, Packet) and one.mac in ((PC1[0], PC2[0]), (PC2[0], PC1[0])) for one in found)


def test_a_merged_file_ends_whole_by_ctrl_c(record: InstanceRecord, tmp_path: Path) -> None:
    file = tmp_path / "all.pcapng"
    ends = ("pc1:eth1", "sw1:port2")
    with Ears(record, ends) as ears, file.open("wb") as output:
        sending = in_background(record)
        threading.Timer(6, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        write_merged(ears, ends, output)
        sending.join()
    fields = ("-T", "fields", "-e", "frame.interface_name", "-e", "icmp.type")
    read = subprocess.run(("tshark", "-n", "-r", str(file), *fields), capture_output=True, text=True, check=True)
    assert sorted(read.stdout.split()) == sorted(["pc1:eth1", "8", "pc1:eth1", "0", "sw1:port2", "8", "sw1:port2", "0"])
    assert "cut short" not in read.stderr


def test_what_leaves_a_node_is_seen_once_for_each_cable_and_at_the_side_that_sent_it(record: InstanceRecord) -> None:
    ends = tuple(end for cable in record.cables for end in cable)
    files = {end: file_in_memory(end) for end in ends}
    with capture(record, files, sent=True):
        send(record)
        time.sleep(0.5)
    frames = [frame for number, end in enumerate(ends) for frame in PcapReader(number).feed(path_of(files[end]).read_bytes())]
    assert [ends[frame.interface] for frame in sorted(frames)] == LEFT


def test_a_capture_that_cannot_start_says_why(record: InstanceRecord) -> None:
    with pytest.raises(CommandError, match="did not start") as refused, Ears(record, ("pc1:eth1", "sw1:port2"), "no such filter"):
        pass
    assert "syntax" in refused.value.why
    with pytest.raises(UsageError, match="not running"), Ears(replace(record, first_pid=0), ("pc1:eth1",)):
        pass
    with pytest.raises(UsageError, match="no interface `icmp`"):
        ends_of(record, ["icmp"])

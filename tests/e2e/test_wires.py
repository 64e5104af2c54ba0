"""A cable passes every frame unchanged: real taps in a throw-away namespace, no machine needed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.host import wires
from labctl.host.namespace import FirstProcess, inside, kill_namespace, short_place, start_namespace

pytestmark = pytest.mark.e2e

PROGRAM = """
import fcntl, json, os, select, struct, sys, time
def tap(name):  # opens the host's end as QEMU does: what is written comes out of the tap, as if the guest had sent it
    file = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(file, 0x400454CA, struct.pack("16sH22s", name.encode(), 0x0002 | 0x1000, b""))
    return file
a, b = tap("a"), tap("b")
time.sleep(0.3)
result = {}
for name, text in json.load(sys.stdin).items():
    frame = bytes.fromhex(text)
    for there, back in ((a, b), (b, a)):
        os.write(there, frame)
        ready = select.select([back], [], [], 2)[0]
        result.setdefault(name, []).append(os.read(back, 65536).hex() if ready else "")
quiet = select.select([a, b], [], [], float(sys.argv[1]))[0]
print(json.dumps({"frames": result, "unasked": len(quiet)}))
"""
SOURCE = "525400000001"
FRAMES = {
    "STP": "0180c2000000" + SOURCE + "0026" + "424203" + "00" * 35 + "00" * 8,
    "LLDP": "0180c200000e" + SOURCE + "88cc" + "0207045254000000010403053132060200780000",
    "PAUSE": "0180c2000001" + SOURCE + "8808" + "0001ffff" + "00" * 42,
    "VLAN": "ffffffffffff" + SOURCE + "8100000a" + "0800" + "45" * 60,
    "QinQ": "ffffffffffff" + SOURCE + "88a80064" + "8100000a" + "0800" + "45" * 60,
    "9000 bytes": "ffffffffffff" + SOURCE + "0800" + "5a" * 9000,
}


@pytest.fixture
def namespace(tmp_path: Path) -> Iterator[FirstProcess]:
    (tmp_path / "log").mkdir()
    first = start_namespace(tmp_path, short_place(tmp_path))
    yield first
    kill_namespace(first)


def test_every_kind_of_frame_passes_a_cable_unchanged_both_ways_and_nothing_else_does(namespace: FirstProcess) -> None:
    wires.carry_out(namespace, [wires.make_tap("a"), wires.make_tap("b"), wires.connect("a", "b")])
    argv = inside(namespace, (sys.executable, "-c", PROGRAM, "5"))
    done = subprocess.run(argv, input=json.dumps(FRAMES), capture_output=True, text=True, check=True, timeout=60)
    seen = json.loads(done.stdout)
    assert seen["frames"] == {name: [frame, frame] for name, frame in FRAMES.items()}
    assert seen["unasked"] == 0


def test_a_removed_cable_passes_nothing(namespace: FirstProcess) -> None:
    wires.carry_out(
        namespace, [wires.make_tap("a"), wires.make_tap("b"), wires.connect("a", "b"), wires.disconnect("a"), wires.disconnect("b")]
    )
    argv = inside(namespace, (sys.executable, "-c", PROGRAM, "0"))
    done = subprocess.run(argv, input=json.dumps({"LLDP": FRAMES["LLDP"]}), capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout)["frames"] == {"LLDP": ["", ""]}

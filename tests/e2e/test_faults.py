"""Things that die or stand still while a lab runs, really killed and really stopped: what is told, what goes on, what is not lost."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labctl.engine.images import image_store
from labctl.engine.scratch import scratch_session, scratch_spec
from labctl.engine.session import make_overlay
from labctl.host.accelerator import prove_accelerator
from labctl.host.places import cache_directory, libvirt_cache_directory
from tests.e2e.conftest import Labctl, new_labctl
from tests.e2e.host_view import processes_of
from tests.stress.rig import LAB, kill

pytestmark = pytest.mark.e2e
STOPPED_S = 60


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("mortal")
    (place / "lab.yaml").write_text(LAB.format(name="mortal", more=""))
    return str(place)


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory, lab: str) -> Iterator[Labctl]:
    for labctl in new_labctl(tmp_path_factory.mktemp("state")):
        labctl("up", lab)
        yield labctl


def processes(labctl: Labctl, word: str) -> dict[str, int]:
    """QEMU's node (or the program's name) → pid, of the instance's processes whose command line holds `word`."""
    found = {}
    for line in processes_of(labctl.instances / "mortal"):
        pid, _, words = line.partition(" ")
        if word in words.split(" ")[0]:
            found[words.partition("guest=")[2].partition(",")[0] or word] = int(pid)
    return found


def states(labctl: Labctl) -> dict[str, str]:
    return {node["name"]: node["state"] for node in labctl.json("status", "--instance", "mortal")[0]["nodes"]}


def instances_in(leftovers: list[dict[str, Any]]) -> list[str]:
    """The instances among what `gc` found; the cache, which is the person's, may hold other things of old."""
    return [one["name"] for one in leftovers if one["kind"] in ("dead", "directory")]


def commit(labctl: Labctl, text: str) -> None:
    labctl("exec", "pc1", "--", "sh", "-c", f"echo {text} > /root/note; sync")


def committed(labctl: Labctl) -> str:
    return labctl.text("exec", "pc1", "--", "cat", "/root/note").strip()


def test_a_killed_machine_is_named_with_the_reason_and_up_starts_it_alone(mortal: Labctl, lab: str) -> None:
    commit(mortal, "before-the-kill")
    before = processes(mortal, "qemu-system")
    kill(before["pc1"])  # as the kernel does when memory runs out
    (one,) = mortal.json("status", "--instance", "mortal")
    pc1 = next(node for node in one["nodes"] if node["name"] == "pc1")
    assert (one["state"], pc1["state"]) == ("running", "lost")
    assert "SIGKILL" in pc1["why"]
    assert "SIGKILL" in mortal.text("status", "mortal")
    assert states(mortal)["pc2"] == "running"
    mortal("up", lab)
    after = processes(mortal, "qemu-system")
    assert after["pc2"] == before["pc2"]
    assert states(mortal) == {"pc1": "running", "pc2": "running"}
    assert committed(mortal) == "before-the-kill"
    mortal("verify", "mortal")


def test_a_killed_libvirtd_is_started_by_the_next_command_and_finds_its_machines(mortal: Labctl, lab: str) -> None:
    before = processes(mortal, "qemu-system")
    kill(processes(mortal, "libvirtd")["libvirtd"])
    assert mortal.text("exec", "pc2", "--", "hostname").strip() == "pc2"
    assert processes(mortal, "qemu-system") == before
    assert states(mortal) == {"pc1": "running", "pc2": "running"}
    assert "nothing to do" in mortal.text("up", lab)
    mortal("verify", "mortal")


def test_what_a_killed_labctl_listened_with_ends_with_it(mortal: Labctl, tmp_path: Path) -> None:
    listening = mortal.start("capture", "pc1:eth1", "--write", str(tmp_path / "wire.pcap"))
    deadline = time.monotonic() + 60
    while "tcpdump" not in processes(mortal, "tcpdump"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    listening.kill()
    listening.communicate()
    while "tcpdump" in processes(mortal, "tcpdump"):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_lab_that_stood_still_for_a_minute_knows_what_time_it_is(mortal: Labctl) -> None:
    everything = [int(line.partition(" ")[0]) for line in processes_of(mortal.instances / "mortal")]
    for pid in everything:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(STOPPED_S)
    for pid in everything:
        os.kill(pid, signal.SIGCONT)
    for node in ("pc1", "pc2"):
        before = time.time()
        there = float(mortal.text("exec", node, "--", "date", "+%s.%N"))
        assert before - 1 <= there <= time.time() + 1, f"{node} is {before - there:.1f} s late"
    assert states(mortal) == {"pc1": "running", "pc2": "running"}
    mortal("verify", "mortal")


def test_a_machine_that_was_left_paused_is_told_and_runs_on_by_up(mortal: Labctl, lab: str) -> None:
    commit(mortal, "before-the-pause")
    saving = mortal.start("checkpoint", "save", "never")
    deadline = time.monotonic() + 60
    streams = "labctl/checkpoints/mortal/*/*/stream"  # all stand still before the first of these is written
    while not any(stream.stat().st_size for stream in mortal.state.glob(streams)):
        assert time.monotonic() < deadline
        assert saving.poll() is None, saving.communicate()
        time.sleep(0.005)
    saving.kill()
    saving.communicate()
    if "paused" in (seen := states(mortal)).values():
        assert "labctl up" in mortal.text("status", "mortal"), seen
    mortal("up", lab)
    assert states(mortal) == {"pc1": "running", "pc2": "running"}
    assert set(processes(mortal, "qemu-system")) == {"pc1", "pc2"}, "no machine of the save is left"
    before = time.time()
    there = float(mortal.text("exec", "pc1", "--", "date", "+%s.%N"))
    assert before - 1 <= there <= time.time() + 1
    assert committed(mortal) == "before-the-pause"
    left = [one for one in mortal.json("gc") if one["kind"] == "making"]
    assert left
    assert left[0]["size_bytes"] > 0
    assert mortal.json("checkpoint", "ls") == []


def test_after_a_reboot_of_the_host_status_says_so_and_up_brings_the_lab_back_with_its_disks(mortal: Labctl, lab: str) -> None:
    commit(mortal, "before-the-reboot")
    everything = [int(line.partition(" ")[0]) for line in processes_of(mortal.instances / "mortal")]
    for pid in everything:
        kill(pid)
    file = mortal.instances / "mortal" / "instance.json"
    record = json.loads(file.read_text())
    file.write_text(json.dumps({**record, "boot_id": str(uuid.uuid4())}))
    (one,) = mortal.json("status", "--instance", "mortal")
    assert one["state"] == "was running"
    assert "labctl up" in mortal.text("status", "mortal")
    assert instances_in(mortal.json("gc", "--dead", "--dry-run")) == ["mortal"]
    assert instances_in(mortal.json("gc")) == [], "disks of a lab are nobody's but their owner's"
    mortal("up", lab)
    assert committed(mortal) == "before-the-reboot"
    mortal("verify", "mortal")


def test_a_stopped_libvirtd_hinders_neither_status_nor_down(mortal: Labctl) -> None:
    os.kill(processes(mortal, "libvirtd")["libvirtd"], signal.SIGSTOP)
    began = time.monotonic()
    (one,) = mortal.json("status", "--instance", "mortal")
    assert "did not answer" in one["why"]
    assert {node["state"] for node in one["nodes"]} == {"running"}
    assert time.monotonic() - began < 60
    refused = mortal("exec", "pc1", "--", "true", status=None)
    assert refused.returncode == 255
    assert b"labctl down" in refused.stderr
    began = time.monotonic()
    mortal("down", "mortal")
    assert time.monotonic() - began < 30
    assert processes_of(mortal.state) == []
    assert not (mortal.instances / "mortal").exists()
    assert list(mortal.instances.iterdir()) == []


def test_twelve_machines_are_stopped_from_eight_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    layer = image_store().find_base()
    assert layer is not None
    names = [f"n{number}" for number in range(12)]
    with scratch_session(prove_accelerator(layer.kernel, layer.initrd, cache=cache_directory())) as session:
        place = Path(session.record.directory)
        for name in names:
            make_overlay(layer.disks[0], place / f"{name}.qcow2")
            spec = scratch_spec(session.record, layer, place / f"{name}.qcow2", memory_mib=128, cpus=1, ram=None)
            short = Path(session.record.short)
            console, worker, serial_log = short / "run" / name, short / "run" / f"worker-{name}", short / "log" / name
            session.hypervisor.start(replace(spec, name=name, console=console, worker=worker, serial_log=serial_log))
        assert set(session.hypervisor.domains()) == set(names)
        began = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(session.hypervisor.stop, names))
        assert time.monotonic() - began < 60
        assert session.hypervisor.domains() == {}
    assert processes_of(tmp_path) == []


# --- look-alikes -----------------------------------------------------------------------------------------------------------------

FOREIGN = """<domain type="qemu"><name>{name}</name><uuid>{uuid}</uuid><memory unit="MiB">32</memory><os>
<type arch="x86_64" machine="pc-i440fx-7.2">hvm</type></os><devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices></domain>"""
START = """
import sys, libvirt
place, xml = sys.argv[1:]
libvirt.open(f"qemu+unix:///session?socket={place}/run/libvirt/libvirt-sock").createXML(xml, 0)
"""
LIST = """
import sys, libvirt
connection = libvirt.open(f"qemu+unix:///session?socket={sys.argv[1]}/run/libvirt/libvirt-sock")
print(*(f"{domain.name()}={domain.isActive()}" for domain in connection.listAllDomains()))
"""


@pytest.fixture
def foreign_libvirtd() -> Iterator[Path]:
    """A libvirtd of somebody's own, in no namespace of ours. Its path is short: libvirt's sockets are below it."""
    place = Path(tempfile.mkdtemp(prefix="lv", dir="/tmp"))
    home = {"XDG_RUNTIME_DIR": "run", "XDG_CONFIG_HOME": "config", "XDG_DATA_HOME": "data"}
    for name in home.values():
        (place / name).mkdir(mode=0o700)
    environment = {**os.environ, **{variable: str(place / name) for variable, name in home.items()}}
    environment |= {"XDG_CACHE_HOME": str(libvirt_cache_directory()), "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    daemon = subprocess.Popen(("libvirtd",), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (place / "run/libvirt/libvirt-sock").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    try:
        yield place
    finally:
        for file in (place / "run/libvirt/qemu/run").glob("*.pid"):
            os.kill(int(file.read_text()), signal.SIGKILL)
        daemon.kill()
        daemon.wait()
        shutil.rmtree(place)


def test_what_looks_like_labctls_own_is_untouched(labctl: Labctl, lab: str, foreign_libvirtd: Path) -> None:
    """A foreign domain, bridge and tap of the very names, directories and files with our suffixes: before and after kill, down and gc."""
    bridge = subprocess.Popen(
        ("unshare", "-Urn", "sh", "-c", "ip link add mgmt type bridge; ip tuntap add n0p0 mode tap; read x; ip -o link"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    alike = [labctl.state / "labctl" / path for path in ("scratch/machine-0a0b0c0d", "instances/notes", "checkpoints/mortal/half-1-2")]
    for place in alike:
        place.mkdir(parents=True)
        (place / "disk.qcow2").write_text("mine")
    labctl("up", lab)
    xml = FOREIGN.format(name="pc1", uuid=labctl.record("mortal")["nodes"][0]["uuid"])
    subprocess.run((sys.executable, "-c", START, str(foreign_libvirtd), xml), check=True)
    kill(labctl.record("mortal")["first_pid"])
    assert instances_in(labctl.json("gc", "--dead", "--dry-run")) == ["mortal"]
    labctl("up", lab)
    labctl("down", "mortal")
    labctl("gc", "--dead")
    found = subprocess.run((sys.executable, "-c", LIST, str(foreign_libvirtd)), check=True, capture_output=True, text=True)
    assert found.stdout.split() == ["pc1=1"]
    out, _ = bridge.communicate(b"\n", timeout=20)
    assert b"mgmt" in out
    assert b"n0p0" in out
    assert [(place / "disk.qcow2").read_text() for place in alike] == ["mine"] * 3

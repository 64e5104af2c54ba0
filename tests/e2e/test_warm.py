"""Copies of one machine: what must differ between them does, they survive a reboot, and points in a running lab are gone back to."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import NOBODY_WAITS, Labctl, new_labctl

pytestmark = pytest.mark.e2e
HOSTS = 9
LINKS = "\n".join(f"  - pc{n}:eth1 -- sw1:port{n}" for n in range(1, HOSTS + 1))
ADDRESSES = "\n".join(f"  pc{n}: {{eth1: 192.168.1.{10 + n}/24}}" for n in range(1, HOSTS + 1))
LAB = f"""\
name: copies
title: Ten copies of one machine
nodes:
  pc1..pc{HOSTS}: host
  sw1: l2-switch
links:
{LINKS}
addresses:
{ADDRESSES}
"""
PAIR = """\
name: whole
title: Two machines that are loaded whole
nodes:
  pc1..pc2: host
links:
  - pc1:eth1 -- pc2:eth1
addresses:
  pc1: {eth1: 192.168.1.1/24}
  pc2: {eth1: 192.168.1.2/24}
"""
SECRETS = {
    "kernel random numbers": "head -c 32 /dev/urandom | od -An -tx1",
    "SSH host key": "cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub",
    "machine-id": "cat /etc/machine-id",
    "journal's id": "until ls -d /run/log/journal/$(cat /etc/machine-id) 2>/dev/null; do sleep 0.2; done",
    "journal's file": "journalctl --header -D /run/log/journal/$(cat /etc/machine-id) | grep '^File ID'",
    "OpenSSL's random numbers": "rm -f /tmp/key; ssh-keygen -q -t ecdsa -N '' -f /tmp/key && cut -d' ' -f2 /tmp/key.pub",
    "name": "hostname",
}


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labctl]:
    place = tmp_path_factory.mktemp("copies")
    (place / "lab.yaml").write_text(LAB)
    for labctl in new_labctl(tmp_path_factory.mktemp("state")):
        labctl("up", str(place))
        labctl("down", "copies")
        labctl("up", str(place))  # from its checkpoint now
        yield labctl


def test_ten_copies_share_no_secret_and_know_the_time(copies: Labctl) -> None:
    assert copies.record("copies")["checkpoint"], "the lab came from its checkpoint"
    for what, command in SECRETS.items():
        said = json.loads(copies.text("exec", "all", "--json", "--", "sh", "-c", command))
        values = {answer["stdout"].strip() for answer in said.values()}
        assert len(values) == HOSTS + 1, f"{what}: {values}"
    for node in ("pc1", "pc9", "sw1"):
        before = time.time()
        there = float(copies.text("exec", node, "--", "date", "+%s.%N"))
        assert before - 1 <= there <= time.time() + 1


def test_two_instances_from_one_checkpoint_share_no_secret(copies: Labctl) -> None:
    file = copies.record("copies")["file"]
    copies("up", file, "--instance", "others")
    for what in ("kernel random numbers", "SSH host key", "machine-id"):
        pair = {copies.text("exec", "pc1", "--instance", name, "--", "sh", "-c", SECRETS[what]) for name in ("copies", "others")}
        assert len(pair) == 2, what
    for daemon in ("$(pidof systemd-journald)", "$(cat /run/sshd.pid)"):
        began = f"cut -d' ' -f22 /proc/{daemon}/stat"  # proc_pid_stat(5): when the process started, after boot
        first, second = (copies.text("exec", "pc1", "--instance", name, "--", "sh", "-c", began) for name in ("copies", "others"))
        assert first == second, f"{daemon} was started before they were copied"
    for name in ("copies", "others"):
        copies("ssh", "pc1", "--instance", name, "--", "true")  # sshd shows this instance's key, no other is let through
    copies("down", "--instance", "others")


def test_sshd_that_may_hold_a_nodes_key_does_not_run_on_in_copies(copies: Labctl) -> None:
    began = ("exec", "pc2", "--", "sh", "-c", "cut -d' ' -f22 /proc/$(cat /run/sshd.pid)/stat")
    copies("exec", "pc2", "--", "systemctl", "restart", "ssh.service")
    first = int(copies.text(*began))
    copies("checkpoint", "save", "sshd")
    copies("checkpoint", "goto", "sshd")
    assert int(copies.text(*began)) > first
    copies("ssh", "pc2", "--", "true")
    copies("reset")
    copies("checkpoint", "rm", "sshd")


def test_a_point_brings_disks_memory_cables_and_settings_back(copies: Labctl) -> None:
    copies("exec", "pc1", "--instance", "copies", "--", "sh", "-c", "echo before > /root/note; sync; echo running > /run/note")
    copies("link", "cut", "pc2:eth1")
    copies("checkpoint", "save", "unused")
    copies("checkpoint", "save", "before")  # nothing of the first is in the way of the second
    copies("checkpoint", "rm", "unused")
    copies("exec", "all", "--", "sh", "-c", NOBODY_WAITS)
    copies("exec", "all", "--", "sh", "-c", "journalctl --sync && test -d /run/log/journal/$(cat /etc/machine-id)")
    assert copies.text("exec", "pc1", "--", "cat", "/run/note").strip() == "running", "the lab runs on"
    copies("exec", "pc1", "--", "sh", "-c", "echo after > /root/note; rm /run/note; sync")
    copies("link", "restore", "pc2:eth1")
    copies("set", "sw1", "learning=false")
    copies("ssh", "pc1", "--", "true")
    copies("checkpoint", "goto", "before")
    assert copies("ssh", "pc1", "--", "true").stderr == b"", "the connection to what the machine was is not tried again"
    assert copies.text("exec", "pc1", "--", "cat", "/root/note", "/run/note").split() == ["before", "running"]
    assert copies.text("exec", "pc2", "--", "cat", "/sys/class/net/eth1/carrier").strip() == "0"
    assert "learning on" in copies.text("exec", "sw1", "--", "bridge", "-d", "link", "show", "dev", "port1")
    assert [point["name"] for point in copies.json("checkpoint", "ls")] == ["before"]
    assert b"labctl reset copies" in copies("checkpoint", "rm", "before", status=2).stderr, "the lab's disks lie on it"
    copies("reset")
    copies("checkpoint", "rm", "before")
    copies("exec", "pc1", "--", "test", "-e", "/root/note", status=1)
    copies("exec", "pc1", "--", "ping", "-c", "4", "-W", "5", "192.168.1.12")


def test_a_save_that_is_interrupted_leaves_the_lab_running_and_nobody_waiting(copies: Labctl) -> None:
    for seconds in (1.0, 3.0):  # while nodes get ready to be copied; while they do, or are saved
        process = copies.start("checkpoint", "save", "broken")
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=300)
        assert process.returncode in (0, 130), said.decode()  # a quick host may have saved it
        assert b"Traceback" not in said
        if process.returncode == 0:
            copies("checkpoint", "rm", "broken")
    copies("exec", "all", "--", "sh", "-c", NOBODY_WAITS)
    copies("exec", "all", "--", "sh", "-c", "journalctl --sync && test -d /run/log/journal/$(cat /etc/machine-id)")
    assert copies.json("checkpoint", "ls") == []
    assert {node["state"] for node in copies.json("status")[0]["nodes"]} == {"running"}


def test_two_ups_at_the_same_moment_make_one_warm_image(labctl: Labctl, tmp_path: Path) -> None:
    place = tmp_path / "one"
    place.mkdir()
    (place / "lab.yaml").write_text("name: one\ntitle: One host\nnodes:\n  pc1: {role: host, memory: 320MiB}\n")
    labctl("image", "build", str(place))  # in the user's cache; what is saved goes to a cache that holds nothing yet
    images = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "labctl" / "images"
    labctl.environment |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "LABCTL_IMAGES": str(images)}
    both = [labctl.start("up", str(place), "--instance", name, "--fresh") for name in ("first", "second")]
    said = [process.communicate(timeout=600) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    boots = sum(out.count(b"to be cloned") + err.count(b"to be cloned") for out, err in said)
    assert boots == 2, "one of them booted the machine (told at its start and its end), the other waited"
    for name in ("first", "second"):
        labctl("down", "--instance", name)


def test_a_machine_that_cannot_be_cloned_is_booted(labctl: Labctl, tmp_path: Path) -> None:
    place = tmp_path / "cold"
    place.mkdir()
    (place / "lab.yaml").write_text("name: cold\ntitle: One host\nnodes: {pc1: host}\n")
    labctl("up", str(place), "--start", "cold")
    assert labctl.text("exec", "pc1", "--", "hostname").strip() == "pc1"
    assert labctl.record("cold")["nodes"][0]["chain"], "it lies on its image layer"
    subprocess.run(("sync",), check=True)
    labctl("reset")
    assert labctl.text("exec", "pc1", "--", "hostname").strip() == "pc1"


def test_doctor_tells_which_way_of_starting_was_tried_here(copies: Labctl) -> None:
    found = {finding["id"]: finding for finding in copies.json("doctor")["findings"]}
    assert found["start"]["state"] == "ok", found["start"]


def test_saved_machines_can_be_loaded_whole_where_ram_files_do_not_work(labctl: Labctl, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "lab.yaml").write_text(PAIR)
    said = labctl("up", str(tmp_path / "whole"), "--start", "stream").stderr.decode()
    assert "warning" not in said.lower(), said
    assert "booted" not in said, said
    warm = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "labctl" / "warm"
    chain = labctl.record("whole")["nodes"][0]["chain"]
    saved = Path(chain[0]).parent
    assert saved.parent == warm
    assert (saved / "stream").exists(), "started from a stream"
    assert labctl.record("whole")["checkpoint"] == ""
    assert "1 received" in labctl.text("exec", "pc1", "--", "ping", "-c", "1", "-W", "5", "192.168.1.2")
    labctl("down", "whole")
    trial = json.loads(labctl.text("doctor", "--json", status=None))
    (start,) = [line for line in trial["findings"] if line["id"] == "start"]
    assert start["state"] == "ok", "a person's choice does not change what this host does best"

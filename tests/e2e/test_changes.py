"""Labs that change, fail, are interrupted, or do not fit: what `up` says and does, on real machines."""

import json
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import NOBODY_WAITS, Labctl
from tests.e2e.host_view import processes_of

pytestmark = pytest.mark.e2e
TWO = """\
name: changing
title: Two hosts
nodes:
  pc1: host
  pc2: host
links:
  - pc1:eth1 -- pc2:eth1
addresses:
  pc1: {eth1: 192.168.1.11/24}
  pc2: {eth1: 192.168.1.12/24}
"""


def written(place: Path, text: str) -> str:
    place.mkdir(exist_ok=True)
    (place / "lab.yaml").write_text(text)
    return str(place)


def test_up_carries_out_what_the_file_has_changed_and_keeps_disks_unless_told(labctl: Labctl, tmp_path: Path) -> None:
    lab = written(tmp_path / "lab", TWO)
    labctl("up", lab)
    labctl("exec", "pc1", "--", "sh", "-c", "echo kept > /root/note; sync")
    written(tmp_path / "lab", TWO.replace("192.168.1.12", "192.168.1.22"))
    assert "configure pc2" in labctl("plan", lab).stdout.decode()
    labctl("up", lab)
    labctl("exec", "pc1", "--", "ping", "-c", "1", "-W", "5", "192.168.1.22")
    labctl("link", "cut", "pc1:eth1")
    labctl("exec", "pc1", "--", "ping", "-c", "1", "-W", "2", "192.168.1.22", status=1)
    assert "plug in" in labctl("plan", lab).stdout.decode()
    labctl("up", lab)
    labctl("exec", "pc1", "--", "ping", "-c", "4", "-W", "5", "192.168.1.22")
    written(tmp_path / "lab", TWO.replace("pc1: host", "pc1: {role: host, packages: [tree]}"))
    refused = labctl("up", lab, status=2).stderr.decode()
    assert "--replace" in refused
    assert "pc1" in refused
    assert labctl.text("exec", "pc1", "--", "cat", "/root/note").strip() == "kept"
    labctl("up", lab, "--replace")
    labctl("exec", "pc1", "--", "tree", "--version")
    labctl("exec", "pc1", "--", "test", "-e", "/root/note", status=1)
    labctl("exec", "pc1", "--", "ping", "-c", "4", "-W", "5", "192.168.1.12")


def test_a_lab_of_ones_own_comes_up_and_its_check_is_proven(labctl: Labctl, tmp_path: Path) -> None:
    place = tmp_path / "mine"
    labctl("new", str(place))
    labctl("up", str(place))
    assert labctl.json("selftest", str(place))[0]["proven"]
    broken = labctl.json("break", str(place), "--seed", "1")
    assert "says" not in broken, "it does not tell"
    labctl("verify", str(place), status=None)
    assert labctl.json("break", "--reveal")["says"]["en"]
    labctl("reset")
    labctl("verify", str(place))


def test_a_role_that_fails_names_node_step_status_and_last_words_and_leaves_the_machine_up(labctl: Labctl, tmp_path: Path) -> None:
    lab = written(tmp_path / "lab", "name: failing\ntitle: A role that fails\nnodes: {pc1: stubborn}\n")
    role = tmp_path / "lab" / "roles" / "stubborn"
    role.mkdir(parents=True)
    (role / "role.yaml").write_text("title: {en: It fails}\nkind: host\napply: apply.sh\n")
    (role / "apply.sh").write_text("echo the last words; exit 3\n")
    said = labctl("up", lab, status=5).stderr.decode()
    assert all(word in said for word in ("pc1", "role stubborn", "status 3", "the last words", "labctl ssh pc1")), said
    assert labctl.text("exec", "pc1", "--", "hostname").strip() == "pc1"
    (role / "apply.sh").write_text("true\n")
    labctl("up", lab)
    assert labctl.json("status")[0]["state"] == "running"
    labctl("exec", "pc1", "--", "sh", "-c", NOBODY_WAITS)


def test_a_nodes_own_files_and_commands_become_an_image_layer(labctl: Labctl, tmp_path: Path) -> None:
    node = "{role: host, files: {/opt/greeting: 'hello 日本'}, run: ['test ! -e /sys/class/net/eth1', 'wc -c < /opt/greeting > /opt/size']}"
    lab = written(tmp_path / "lab", f"name: own\ntitle: Own files\nnodes:\n  pc1: {node}\n")
    labctl("up", lab)
    assert labctl.text("exec", "pc1", "--", "cat", "/opt/greeting", "/opt/size").split() == ["hello", "日本12"]


def test_an_interrupted_up_says_what_is_left_and_goes_on_from_there(labctl: Labctl, tmp_path: Path) -> None:
    lab = written(tmp_path / "lab", TWO)
    process = labctl.start("up", lab, "--fresh")
    deadline = time.monotonic() + 120
    while not list(labctl.instances.glob("changing/disks/*.qcow2")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said.decode()
    assert b"Traceback" not in said
    labctl("up", lab)
    labctl("exec", "pc1", "--", "ping", "-c", "4", "-W", "5", "192.168.1.12")
    labctl("down", "changing")
    assert processes_of(labctl.state) == []


def test_a_lab_that_cannot_fit_is_refused_before_anything_starts(labctl: Labctl, tmp_path: Path) -> None:
    lab = written(tmp_path / "lab", "name: huge\ntitle: Too much\nnodes:\n  pc1..pc500: host\n")
    began = time.monotonic()
    assert json.loads(labctl.text("validate", lab, "--json"))
    said = labctl("up", lab, status=4).stderr.decode()
    assert "MiB" in said
    assert "nodes fit" in said
    assert time.monotonic() - began < 60
    assert not (labctl.instances / "huge").exists()


def test_a_lab_with_mistakes_starts_nothing_and_shows_all_of_them(labctl: Labctl, tmp_path: Path) -> None:
    lab = written(tmp_path / "lab", TWO.replace("pc1: host", "pc1: hots").replace("pc2:eth1\n", "pc9:eth1\n"))
    said = labctl("up", lab, status=3).stderr.decode()
    assert "host" in said
    assert "pc9" in said
    assert not labctl.instances.exists() or not list(labctl.instances.glob("*/"))

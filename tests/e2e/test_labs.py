"""Every shipped lab, whole: up, verify, selftest, down; nothing is left."""

import json
from pathlib import Path

import pytest

from labctl.lab.data import LABS
from tests.e2e.conftest import Labctl
from tests.e2e.host_view import mounts, network_devices, processes_of

pytestmark = pytest.mark.e2e
SHIPPED = sorted(file.parent.name for file in LABS.glob("*/lab.yaml"))


@pytest.mark.parametrize("lab", SHIPPED)
def test_a_shipped_lab_comes_up_proves_its_lesson_and_leaves_nothing(lab: str, labctl: Labctl) -> None:
    devices, mounted = network_devices(), mounts()
    labctl("up", lab)
    verified = labctl.json("verify", lab, status=None)
    assert all(variant["checks"] for variant in verified), "a lab without checks proves nothing"
    red = [check for variant in verified for check in variant["checks"] if check["state"] != "passed" and not check["task"]]
    assert not red, json.dumps(red, ensure_ascii=False, indent=1)
    proven = labctl.json("selftest", lab, timeout_s=1800, status=None)
    assert all(variant["proven"] and variant["score"] == 1.0 for variant in proven), proven
    assert network_devices() == devices, "nothing is put on the host's network"
    labctl("down", lab)
    assert processes_of(labctl.state) == []
    assert mounts() == mounted
    assert [place.name for place in labctl.instances.iterdir() if place.is_dir()] == []


def test_the_state_directory_is_the_only_place_outside_the_cache(labctl: Labctl, tmp_path: Path) -> None:
    before = set(Path("/tmp").iterdir())
    labctl("up", "l2-switch")
    labctl("down", "l2-switch")
    new = {place for place in set(Path("/tmp").iterdir()) - before if place.owner() == tmp_path.owner()}
    assert new <= {tmp_path, tmp_path.parent, tmp_path.parent.parent}, new

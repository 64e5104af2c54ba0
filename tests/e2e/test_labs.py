"""Shipped labs: up, verify, down, and nothing is left. After a reboot: tests/more/test_reboots.py.

Each day a fifth of them, one of the long ones, and one with all its sabotages, in turn: all take longer than CI may where machines are
emulated. Their names stand in the output; `make test-all` takes all, with all their sabotages.
"""

import json
from datetime import date
from pathlib import Path

import pytest

from labctl.lab.data import LABS
from tests.e2e.conftest import Labctl
from tests.e2e.host_view import mounts, network_devices, processes_of

pytestmark = pytest.mark.e2e
SHIPPED = sorted(file.parent.name for file in LABS.glob("*/lab.yaml"))


# Emulated on two cores, their images, first start and verification take five to fifteen minutes, their sabotages up to an hour.
LONG = ("docker-build", "docker-compose", "docker-image-data", "docker-run", "docker-swarm", "virtualisation")
SHORT = [lab for lab in SHIPPED if lab not in LONG]
DAY = date.today().toordinal()
IN_TURN = [*SHORT[DAY % 5 :: 5], LONG[DAY % len(LONG)]]
SELFTESTED = SHORT[DAY % len(SHORT)]


def verified(labctl: Labctl, lab: str) -> None:
    report = labctl.json("verify", lab, status=None, timeout_s=1800)
    assert all(variant["checks"] for variant in report), "a lab without checks proves nothing"
    red = [check for variant in report for check in variant["checks"] if check["state"] != "passed" and not check["task"]]
    assert not red, json.dumps(red, ensure_ascii=False, indent=1)


@pytest.mark.parametrize("lab", IN_TURN)
def test_a_shipped_lab_teaches_its_lesson_and_leaves_nothing(lab: str, labctl: Labctl) -> None:
    devices, mounted = network_devices(), mounts()
    labctl("up", lab)
    assert network_devices() == devices, "nothing is put on the host's network"
    verified(labctl, lab)
    labctl("down", lab)
    assert processes_of(labctl.state) == []
    assert mounts() == mounted
    assert [place.name for place in labctl.instances.iterdir() if place.is_dir()] == []


@pytest.mark.parametrize("lab", [SELFTESTED])
def test_every_check_of_a_lab_can_fail(lab: str, labctl: Labctl) -> None:
    labctl("up", lab)
    proven = labctl.json("selftest", lab, timeout_s=3000, status=None)
    assert all(variant["proven"] and variant["score"] == 1.0 for variant in proven), json.dumps(proven, ensure_ascii=False, indent=1)


def test_the_state_directory_is_the_only_place_outside_the_cache(labctl: Labctl, tmp_path: Path) -> None:
    before = set(Path("/tmp").iterdir())
    labctl("up", "l2-switch")
    labctl("down", "l2-switch")
    new = {place for place in set(Path("/tmp").iterdir()) - before if place.owner() == tmp_path.owner()}
    assert new <= {tmp_path, tmp_path.parent, tmp_path.parent.parent}, new

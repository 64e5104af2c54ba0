"""Instances beside each other, and the end of one by a kill."""

import os
import signal
import time

import pytest

from tests.e2e.conftest import Labctl
from tests.e2e.host_view import network_devices, processes_of, zombies_below

pytestmark = pytest.mark.e2e


def test_two_instances_of_one_lab_do_not_know_of_each_other(labctl: Labctl) -> None:
    labctl("up", "static-routing")
    labctl("up", "static-routing", "--instance", "second")
    first, second = labctl.record("static-routing"), labctl.record("second")
    assert first["nodes"][0]["ports"] == second["nodes"][0]["ports"], "the same MACs and addresses"
    for instance in ("static-routing", "second"):
        labctl("verify", "--instance", instance)
    labctl("down", "--instance", "second")
    labctl("verify", "--instance", "static-routing")


def test_a_kill_of_the_first_process_leaves_nothing(labctl: Labctl) -> None:
    devices = network_devices()
    labctl("up", "static-routing")
    record = labctl.record("static-routing")
    assert processes_of(labctl.state)
    os.kill(record["first_pid"], signal.SIGKILL)
    deadline = time.monotonic() + 10
    while processes_of(labctl.state):
        assert time.monotonic() < deadline, processes_of(labctl.state)
        time.sleep(0.1)
    assert network_devices() == devices
    assert labctl.json("status", "--instance", "static-routing")[0]["state"] == "dead"
    labctl("up", "static-routing")  # with the disks it has
    labctl("verify", "static-routing")
    labctl("down", "static-routing")
    assert not (labctl.instances / "static-routing").exists()


def test_down_of_a_node_leaves_no_zombie(labctl: Labctl) -> None:
    labctl("up", "static-routing")
    labctl("down", "h2", "--instance", "static-routing")
    states = {node["name"] for node in labctl.json("status")[0]["nodes"]}
    assert "h2" not in states
    assert labctl.json("status")[0]["state"] == "running"
    assert zombies_below(labctl.record("static-routing")["first_pid"]) == []

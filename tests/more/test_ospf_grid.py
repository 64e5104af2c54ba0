"""Twenty routers in a grid of 4 × 5, from a short file with loops: up, converged, verified, judged by FRR itself. Wants 8 GiB of RAM."""

import json
import time
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Labctl, new_labctl

pytestmark = pytest.mark.e2e
LAB = """\
name: ospf-grid
title: Twenty routers in a grid
nodes:
  r11..r15: {role: router, ospf: &timers {area: 0, hello: 2s, dead: 20s, network: point-to-point}}
  r21..r25: {role: router, ospf: *timers}
  r31..r35: {role: router, ospf: *timers}
  r41..r45: {role: router, ospf: *timers}
links:
  - each: {row: 1..4, column: 1..4}
    ends: r{row}{column}:eth1 -- r{row}{column+1}:eth2
    ospf: {cost: 10}
    addresses: ["10.0.{row}{column}.1/30", "10.0.{row}{column}.2/30"]
  - each: {row: 1..3, column: 1..5}
    ends: r{row}{column}:eth3 -- r{row+1}{column}:eth4
    ospf: {cost: 10}
    addresses: ["10.1.{row}{column}.1/30", "10.1.{row}{column}.2/30"]
addresses:
  r11: {lo: 10.255.0.11/32}
  r45: {lo: 10.255.0.45/32}
ready:
  - {route: {r11: 10.255.0.45/32}, from: ospf, within: 120s}
  - {route: {r45: 10.255.0.11/32}, from: ospf, within: 120s}
checks:
  - id: corner-to-corner
    says: the seven cables between two corners are the whole distance
    see:
      - {route: {r11: 10.255.0.45/32}, from: ospf, metric: 70}
      - reach: r11 -> 10.255.0.45
    sabotage:
      - r45: vtysh -c 'conf t' -c 'no router ospf'
"""


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labctl]:
    place = tmp_path_factory.mktemp("grid")
    (place / "lab.yaml").write_text(LAB)
    for labctl in new_labctl(tmp_path_factory.mktemp("state")):
        for how in ("new", "from its checkpoint"):
            began = time.monotonic()
            labctl("up", str(place), timeout_s=3000)
            seconds = time.monotonic() - began
            (status,) = labctl.json("status", "ospf-grid")
            print(f"20 routers, {how}: up and converged in {seconds:.0f} s, {status['pss_mib']} MiB in all")
            if how == "new":
                labctl("down", "ospf-grid")
        yield labctl


def test_the_grid_is_verified(grid: Labctl) -> None:
    (report,) = grid.json("verify", "ospf-grid", timeout_s=600)
    assert [check["state"] for check in report["checks"]] == ["passed"]


def test_frr_says_so_itself(grid: Labctl) -> None:
    """Every router knows all twenty, and one in the middle has its four neighbours."""
    database = json.loads(grid.text("exec", "r33", "--", "vtysh", "-c", "show ip ospf database router json"))
    assert json.dumps(database).count('"linkStateId"') == 20
    neighbours = json.loads(grid.text("exec", "r33", "--", "vtysh", "-c", "show ip ospf neighbor json"))["neighbors"]
    states = [one.get("nbrState", one.get("state", "")) for each in neighbours.values() for one in each]
    assert len(states) == 4
    assert all(state.startswith("Full") for state in states), states

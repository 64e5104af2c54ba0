"""Sixty idle nodes at once, new and from a checkpoint that a person saved: a part of `make test-all`. Wants 16 GiB of RAM."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Labctl, new_labctl

pytestmark = pytest.mark.e2e
HUBS, PORTS = 4, 14
MOST_MIB = 16 * 1024


def lab_of_sixty() -> str:
    """Four switches in a row, fourteen hosts at each."""
    hosts = [(hub, port) for hub in range(1, HUBS + 1) for port in range(1, PORTS + 1)]
    links = [f"  - pc{hub}x{port}:eth1 -- sw{hub}:port{port}" for hub, port in hosts]
    row = [f"  - sw{hub}:port15 -- sw{hub + 1}:port16" for hub in range(1, HUBS)]
    addresses = [f"  pc{hub}x{port}: {{eth1: 10.0.{hub}.{port}/16}}" for hub, port in hosts]
    nodes = [f"  pc{hub}x{port}: host" for hub, port in hosts] + [f"  sw{hub}: l2-switch" for hub in range(1, HUBS + 1)]
    return "\n".join(
        ("name: sixty", "title: Sixty nodes", "nodes:", *nodes, "links:", *links, *row, "addresses:", *addresses, "")
    )  # fmt: skip


@pytest.fixture(scope="module")
def sixty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labctl]:
    place = tmp_path_factory.mktemp("sixty")
    (place / "lab.yaml").write_text(lab_of_sixty())
    for labctl in new_labctl(tmp_path_factory.mktemp("state")):
        labctl("up", str(place), timeout_s=3000)
        yield labctl


def holds(sixty: Labctl) -> None:
    (status,) = sixty.json("status", "sixty")
    assert len(status["nodes"]) == HUBS * (PORTS + 1)
    assert {node["state"] for node in status["nodes"]} == {"running"}
    print(f"60 nodes: {status['pss_mib']} MiB in all")
    assert status["pss_mib"] <= MOST_MIB
    assert "1 received" in sixty.text("exec", "pc1x1", "--", "ping", "-c", "1", "-W", "20", "10.0.4.14")


def test_sixty_nodes_run_at_once(sixty: Labctl) -> None:
    holds(sixty)


def test_and_from_a_checkpoint_that_a_person_saved(sixty: Labctl, tmp_path: Path) -> None:
    sixty("exec", "pc4x14", "--", "sh", "-c", "echo kept > /run/note")
    sixty("checkpoint", "save", "all", timeout_s=3000)
    sixty("exec", "pc4x14", "--", "rm", "/run/note")
    sixty("checkpoint", "goto", "all", timeout_s=3000)
    assert sixty.text("exec", "pc4x14", "--", "cat", "/run/note").strip() == "kept"
    holds(sixty)

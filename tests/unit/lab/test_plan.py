"""What `up` plans, from the lab and from what is there."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.lab.load import find_lab, load_lab
from labctl.lab.plan import InstanceFacts, NodeFacts, Plan, cable_of, hardware_of, plan_up, room_for, setup_of
from labctl.lab.settings import change_settings
from labctl.lab.topology import Lab

GOLDEN = Path(__file__).parent.parent / "golden" / "plan"
LAYER = "the-layer"


@pytest.fixture(scope="module")
def lab() -> Lab:
    return load_lab(find_lab("l2-switch"))


def facts_of(lab: Lab) -> InstanceFacts:
    """The lab, running as its file says."""
    nodes = {node.name: NodeFacts(True, LAYER, hardware_of(node), setup_of(lab, node)) for node in lab.nodes}
    return InstanceFacts(True, nodes, frozenset(cable_of(link) for link in lab.links))


def layers_of(lab: Lab) -> dict[str, str]:
    return {node.name: LAYER for node in lab.nodes}


def words(plan: Plan) -> str:
    return "".join(f"{step.what}{' !' if step.loses_disk else ''}\n" for step in plan.steps)


def test_a_new_lab_is_made_from_nothing(lab: Lab, golden: Callable[[Path, str], None]) -> None:
    golden(GOLDEN / "new.txt", words(plan_up(lab, InstanceFacts(), layers_of(lab))))


def test_a_lab_that_runs_as_its_file_says_needs_nothing(lab: Lab) -> None:
    assert plan_up(lab, facts_of(lab), layers_of(lab)).steps == ()


def test_a_changed_setting_configures_that_node_only(lab: Lab) -> None:
    changed = change_settings(lab, "sw1", {"learning": False})
    assert words(plan_up(changed, facts_of(lab), layers_of(lab))) == "configure sw1 (its settings changed)\n"


def test_a_node_that_is_off_is_started_on_its_disk(lab: Lab) -> None:
    facts = facts_of(lab)
    nodes = {**facts.nodes, "pc2": replace(facts.nodes["pc2"], running=False)}
    assert words(plan_up(lab, replace(facts, nodes=nodes), layers_of(lab))) == "start pc2 (it is off)\n"


def test_a_dead_instance_gets_its_namespaces_cables_and_machines_back_and_loses_no_disk(lab: Lab) -> None:
    facts = facts_of(lab)
    dead = replace(facts, alive=False, nodes={name: replace(node, running=False) for name, node in facts.nodes.items()})
    plan = plan_up(lab, dead, layers_of(lab))
    assert plan.losses == ()
    assert [step.verb for step in plan.steps] == ["start", *["plug in"] * len(lab.links), *["start"] * len(lab.nodes)]


def test_another_image_or_a_node_that_left_the_file_loses_a_disk_and_says_so(lab: Lab) -> None:
    fewer = replace(lab, nodes=lab.nodes[1:], links=lab.links[1:])
    plan = plan_up(fewer, facts_of(lab), {**layers_of(lab), "pc2": "another"})
    assert [step.subject for step in plan.losses] == ["pc1", "pc2"]


def test_more_memory_restarts_a_node_and_keeps_its_disk(lab: Lab) -> None:
    bigger = replace(lab, nodes=tuple(replace(node, memory_mib=512) if node.name == "pc1" else node for node in lab.nodes))
    plan = plan_up(bigger, facts_of(lab), layers_of(lab))
    assert words(plan) == "restart pc1 (its hardware changed)\n"


def test_room_counts_every_guests_memory_and_the_emulators_own(lab: Lab) -> None:
    assert room_for(lab).memory_mib > sum(node.memory_mib for node in lab.nodes)


def test_a_node_that_stands_still_is_let_run_on_and_one_that_never_was_set_up_is_made_again(lab: Lab) -> None:
    facts = facts_of(lab)
    still = replace(facts.nodes["pc1"], running=False, paused=True)
    nodes = {**facts.nodes, "pc1": still, "pc2": replace(still, setup=""), "sw1": replace(still, stuck=True)}
    plan = plan_up(lab, replace(facts, nodes=nodes), layers_of(lab))
    assert words(plan) == (
        "resume pc1 (it stands still)\nmake pc2 (it was left half made)\nresume sw1 (it stands still: the disk was full)\n"
    )
    assert plan.losses == ()

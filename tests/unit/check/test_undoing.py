"""What takes back what was done: worked out from the actions, without a lab that runs."""

from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from labctl.check.undoing import Undoing, plan_inverse, plan_leftovers, plan_saved, plan_task_undoing, plan_undoing, touched
from labctl.lab.actions import Actions
from labctl.lab.model import Sabotage
from tests.unit.engine.fake_lab import switch_lab

ACTIONS: TypeAdapter[Any] = TypeAdapter(Actions)
LAB = switch_lab()


def actions(*given: dict[str, Any]) -> Any:
    return ACTIONS.validate_python(list(given))


def inverse(*given: dict[str, Any], done: tuple[dict[str, Any], ...] = ()) -> Undoing:
    return plan_inverse(LAB, actions(*given), done=actions(*done) if done else ())


def undone(*expected: dict[str, Any], resets: tuple[str, ...] = ()) -> Undoing:
    return Undoing(actions(*expected) if expected else (), resets)


def test_a_cut_cable_is_put_back() -> None:
    assert inverse({"cut": "pc1:eth1"}) == undone({"restore": "pc1:eth1"})


def test_what_changes_nothing_needs_no_inverse() -> None:
    assert inverse({"restore": "pc1:eth1"}) == undone()
    assert inverse({"cut": "pc1:eth1"}, {"cut": "sw1:port1"}) == undone({"restore": "pc1:eth1"})
    assert inverse({"cut": "pc1:eth1"}, {"restore": "sw1:port1"}) == undone({"cut": "sw1:port1"}, {"restore": "pc1:eth1"})


def test_an_impaired_link_is_cleared_and_made_what_it_was_by_hand() -> None:
    worse = {"impair": "pc1:eth1", "delay": "30ms"}
    assert inverse(worse) == undone({"clear": "pc1:eth1"})
    both = ({"impair": "pc1:eth1", "one_way": True, "delay": "30ms"}, {"impair": "sw1:port1", "one_way": True, "delay": "30ms"})
    assert inverse({"impair": "sw1:port1", "loss": "1%"}, done=(worse,)) == undone({"clear": "sw1:port1"}, both[0], both[1])
    assert inverse({"clear": "pc1:eth1"}, done=(both[0],)) == undone({"clear": "pc1:eth1"}, both[0])


def test_what_a_timeline_leaves_changed_is_put_back_and_nothing_else() -> None:
    assert (
        plan_leftovers(LAB, actions({"cut": "pc1:eth1"}, {"restore": "pc1:eth1"}, {"pc1": "x"}, {"set": {"sw1": {"learning": False}}}))
        == ()
    )
    changed = (
        {"cut": "pc1:eth1"},
        {"impair": "sw1:port2", "loss": "1%"},
        {"power": {"pc3": "off"}},
        {"move": "pc3:eth1 -> sw1:port4"},
        {"impair": "sw1:port3", "loss": "1%"},
        {"clear": "sw1:port3"},
    )
    back = ({"restore": "pc1:eth1"}, {"move": "pc3:eth1 -> sw1:port3"}, {"power": {"pc3": "on"}}, {"clear": "pc2:eth1"})
    assert plan_leftovers(LAB, actions(*changed)) == actions(*back)


def test_moves_are_taken_back_in_the_opposite_order() -> None:
    three = ({"move": "pc1:eth1 -> sw1:port4"}, {"move": "pc3:eth1 -> sw1:port1"}, {"move": "pc1:eth1 -> sw1:port3"})
    back = ({"move": "pc1:eth1 -> sw1:port4"}, {"move": "pc3:eth1 -> sw1:port3"}, {"move": "pc1:eth1 -> sw1:port1"})
    assert inverse(*three) == undone(*back)


def test_settings_get_their_old_values() -> None:
    assert inverse({"set": {"sw1": {"learning": False}}}) == undone({"set": {"sw1": {"learning": True}}})
    assert inverse({"set": {"sw1": {"port2": {"isolated": True}}}}) == undone({"set": {"sw1": {"port2": {"isolated": False}}}})


def test_a_setting_without_an_old_value_costs_a_reset() -> None:
    assert inverse({"set": {"sw1": {"new": 1}}}) == undone(resets=("sw1",))


def test_commands_and_power_cost_a_reset_of_the_nodes() -> None:
    assert inverse({"pc3": "x", "pc1": "y"}, {"power": {"pc2": "off"}}) == undone(resets=("pc1", "pc2", "pc3"))


def test_a_reset_makes_settings_needless_but_not_cables() -> None:
    both = ({"set": {"sw1": {"learning": False}}}, {"cut": "pc1:eth1"}, {"sw1": "x"})
    assert inverse(*both) == undone({"restore": "pc1:eth1"}, resets=("sw1",))


def test_an_undo_of_its_own_is_believed() -> None:
    sabotage = Sabotage(actions=actions({"pc1": "x"}), undo=actions({"pc1": "y"}))
    assert plan_undoing(LAB, sabotage) == undone({"pc1": "y"})


def test_the_inverse_of_a_tasks_sabotage_leads_back_to_the_solution() -> None:
    solution = actions({"set": {"sw1": {"learning": False}}})
    sabotage = Sabotage(actions=actions({"set": {"sw1": {"learning": True}}}))
    assert plan_task_undoing(LAB, sabotage, solution) == undone({"set": {"sw1": {"learning": False}}})


def test_a_task_whose_node_is_reset_is_solved_again_from_the_start() -> None:
    solution = actions({"pc2": "solve"}, {"cut": "pc3:eth1"}, {"set": {"sw1": {"learning": False}}})
    planned = plan_task_undoing(LAB, Sabotage(actions=actions({"pc1": "break"})), solution)
    assert planned == Undoing(actions({"restore": "pc3:eth1"}), ("pc1", "pc2", "sw1"), solve_again=True)


def test_nodes_that_are_touched() -> None:
    assert touched(actions({"pc1": "x"}, {"cut": "pc3:eth1"}, {"set": {"sw1": {"learning": True}}}, {"pc1": "y"})) == ("pc1", "sw1")


def test_from_saved_machines_only_what_was_touched_goes_back_and_with_a_cable_everything() -> None:
    assert plan_saved(LAB, actions({"pc3": "x"}, {"set": {"sw1": {"learning": False}}})) == Undoing(resets=("pc3", "sw1"), saved=True)
    assert plan_saved(LAB, actions({"pc3": "x"}, {"cut": "pc1:eth1"}), solve_again=True) == Undoing(saved=True, solve_again=True)


def test_nodes_that_keep_what_they_told_each_other_go_back_together() -> None:
    nodes = [
        replace(node, role=replace(node.role, file=node.role.file.model_copy(update={"reset_together": node.name != "pc3"})))
        for node in LAB.nodes
    ]
    lab = replace(LAB, nodes=tuple(nodes))
    assert plan_saved(lab, actions({"pc3": "x"})).resets == ("pc3",)
    assert plan_saved(lab, actions({"pc3": "x", "pc2": "x"})).resets == ("pc3", "pc2", "pc1", "sw1")

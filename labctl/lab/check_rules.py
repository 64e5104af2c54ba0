"""Rules for checks: what they name exists, an absence has its witness, a task its solution. Gives the checks back, settings read.

What a check means when it runs is `check/`'s and `engine/`'s; here is only what can be seen in the file.
"""

from labctl.lab.action_rules import moved_to, read_actions
from labctl.lab.actions import Action, OnNodes, RunCommand
from labctl.lab.draft_links import DraftLink
from labctl.lab.draft_nodes import DraftNode
from labctl.lab.faults import Faults
from labctl.lab.known import Known
from labctl.lab.model import Check, LabFile, Sabotage
from labctl.lab.observation_rules import is_absence, judge_observation
from labctl.lab.observations import Observation
from labctl.lab.scenario_rules import judge_check, judge_seen
from labctl.lab.topology import End, Interface
from labctl.lab.tree import Path
from labctl.lab.words import meant


def read_ready(
    model: LabFile, nodes: dict[str, DraftNode], interfaces: dict[str, tuple[Interface, ...]], faults: Faults
) -> tuple[Observation, ...]:
    known = Known.of(nodes, interfaces, [], faults)
    for number, seen in enumerate(model.ready):
        judge_observation(seen, ("ready", number), known, None)
        judge_seen(seen, ("ready", number), None, known)
    return model.ready


def read_checks(
    model: LabFile,
    nodes: dict[str, DraftNode],
    interfaces: dict[str, tuple[Interface, ...]],
    links: list[DraftLink],
    faults: Faults,
) -> tuple[Check, ...]:
    """All checks, judged and with the settings of their actions read."""
    known = Known.of(nodes, interfaces, links, faults)
    ids: dict[str, int] = {}
    checks = []
    for number, check in enumerate(model.checks):
        path = ("checks", number)
        first = ids.setdefault(check.id, number)
        if first != number:
            line = faults.tree.value_spot(("checks", first, "id")).line
            faults.add((*path, "id"), f"check `{check.id}` stands here twice", f"first in line {line}")
        _variant(check, path, model, faults)
        _observations(check, path, known)
        judge_check(check, path, model.scenarios, known)
        _task(check, path, faults)
        checks.append(_read(check, path, known))
    return tuple(checks)


def _variant(check: Check, path: Path, model: LabFile, faults: Faults) -> None:
    variants = ["default", *model.variants]
    if check.variant is not None and check.variant not in variants:
        faults.add((*path, "variant"), f"no variant `{check.variant}`", "", meant(check.variant, variants))


def _observations(check: Check, path: Path, known: Known) -> None:
    printing = frozenset(_printing(check.do))
    damaged = known.faults.tree.at((*path, "see")).damaged
    witnessed = any(seen.witness and not is_absence(seen) for seen in check.see)
    for number, seen in enumerate(check.see):
        here = (*path, "see", number)
        judge_observation(seen, here, known, printing)
        if seen.witness and is_absence(seen):
            known.faults.add(here, "a witness of nothing", "a witness is something present: it proves that anything happened")
        elif is_absence(seen) and not witnessed and not damaged:
            why = "it would be true of a dead lab too"
            hint = "put beside it something that must be seen, with `witness: true`"
            known.faults.add(here, "an absence needs a witness", why, hint)
    if all(seen.witness for seen in check.see) and not damaged:
        known.faults.add(
            (*path, "see"), "only witnesses", "at least one observation must be the check's own: no sabotage can fail a witness", key=True
        )


def _printing(actions: tuple[Action, ...]) -> list[str]:
    commands = [action.commands for action in actions if isinstance(action, OnNodes)]
    return [name for by_node in commands for name, command in by_node.items() if isinstance(command, RunCommand)]


def _task(check: Check, path: Path, faults: Faults) -> None:
    damaged = faults.tree.at((*path, "solution")).damaged
    if check.task and not check.solution and not damaged:
        faults.add((*path, "task"), "a task without `solution`", "an exercise is red until its solution is done", key=True)
    if check.solution and not check.task and not faults.tree.at(path).damaged:
        faults.add((*path, "solution"), "a solution without a task", "", "give the check `task: true`", key=True)


def _read(check: Check, path: Path, known: Known) -> Check:
    everything = (*check.before, *check.do, *check.after, *check.solution, *(one for way in check.sabotage for one in way.actions))
    also: frozenset[End] = moved_to(everything)
    phases = {phase: read_actions(getattr(check, phase), (*path, phase), known, also) for phase in ("before", "do", "after", "solution")}
    ways = tuple(_sabotage(way, (*path, "sabotage", number), known, also) for number, way in enumerate(check.sabotage))
    return check.model_copy(update={**phases, "sabotage": ways})


def _sabotage(way: Sabotage, path: Path, known: Known, also: frozenset[End]) -> Sabotage:
    word = "do" if known.faults.tree.at(path).child("do") else "actions"
    actions = read_actions(way.actions, (*path, word), known, also)
    undo = read_actions(way.undo, (*path, "undo"), known, also)
    return way.model_copy(update={"actions": actions, "undo": undo})

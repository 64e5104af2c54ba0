"""How to take back what actions did to a lab, from the actions alone. Pure.

Owns which actions have an inverse (cut, restore, impair, clear, move, set) and what it is, given what was done before; commands and power
switches have none: the nodes they touched are reset. Carrying it out is `engine/sabotage.py`'s.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labctl.lab.impairments import NONE, Impairment, merged
from labctl.lab.model import Action, ClearLink, CutLink, ImpairLink, MoveLink, OnNodes, Power, RestoreLink, Sabotage, SetSettings
from labctl.lab.topology import Lab


@dataclass(frozen=True)
class Undoing:
    """What puts a lab right: actions in order, then a reset of these nodes. `solve_again`: the reset took a task's solution away.

    `saved`: a reset from saved machines instead; of these nodes, or of everything, links too, if none is named.
    """

    actions: tuple[Action, ...] = ()
    resets: tuple[str, ...] = ()
    solve_again: bool = False
    saved: bool = False


@dataclass
class _State:
    """What inverses need to know of a lab: what is plugged into what, which cables are pulled, which settings hold."""

    far: dict[str, str] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    impaired: dict[str, Impairment] = field(default_factory=dict)  # by hand, whole, by interface
    written: dict[str, Impairment] = field(default_factory=dict)
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    ports: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)


def plan_undoing(lab: Lab, sabotage: Sabotage) -> Undoing:
    """How to undo `sabotage` on the lab as it is in its file. Its own `undo` is believed: the check that passes again proves it."""
    return Undoing(sabotage.undo) if sabotage.undo else plan_inverse(lab, sabotage.actions)


def plan_task_undoing(lab: Lab, sabotage: Sabotage, solution: Sequence[Action]) -> Undoing:
    """How to come back to the *solved* task. A node that is reset forgets the solution: then it is all taken back, and done again."""
    if sabotage.undo:
        return Undoing(sabotage.undo)
    undoing = plan_inverse(lab, sabotage.actions, done=solution)
    if not undoing.resets:
        return undoing
    solved = plan_inverse(lab, solution)
    resets = _in_order(lab, (*undoing.resets, *touched(solution)))
    links = [action for action in (*undoing.actions, *solved.actions) if not isinstance(action, SetSettings)]
    return Undoing(tuple(links), resets, solve_again=True)


def plan_inverse(lab: Lab, actions: Sequence[Action], *, done: Sequence[Action] = ()) -> Undoing:
    """The inverse actions, last first; nodes of actions that have none are reset, which takes back their settings too."""
    state = _state_of(lab)
    for action in done:
        _advance(state, action)
    inverses: list[Action] = []
    resets: set[str] = set()
    for action in actions:
        inverse = _inverse(state, action)
        resets.update(touched([action]) if inverse is None else ())
        inverses += inverse or ()
        _advance(state, action)
    kept = [left for action in reversed(inverses) for left in _without(action, resets)]
    return Undoing(tuple(kept), _in_order(lab, resets))


def plan_saved(lab: Lab, actions: Sequence[Action], *, solve_again: bool = False) -> Undoing:
    """Back to the saved machines of the nodes that these actions were about; of everything, if a cable was."""
    if any(isinstance(action, CutLink | RestoreLink | ImpairLink | ClearLink | MoveLink) for action in actions):
        return Undoing(saved=True, solve_again=solve_again)
    return Undoing(resets=_with_companions(lab, touched(actions)), saved=True, solve_again=solve_again)


def _with_companions(lab: Lab, names: Sequence[str]) -> tuple[str, ...]:
    """Also the nodes that remember what these told them: a router that went back alone would never hear again what it forgot."""
    together = [node.name for node in lab.nodes if node.role.file.reset_together]
    return (*names, *(name for name in together if name not in names)) if set(names) & set(together) else tuple(names)


def plan_leftovers(lab: Lab, actions: Sequence[Action]) -> tuple[Action, ...]:
    """What puts cables, links and power back that these actions, done in order, leave changed. Commands and settings are left."""
    state, first = _state_of(lab), _state_of(lab)
    off: dict[str, bool] = {}
    for action in actions:
        _advance(state, action)
        if isinstance(action, Power):
            off |= {node: power == "off" for node, power in action.power.items()}
    moved = [end for end, far in first.far.items() if state.far.get(end) != far and end < far]
    return (
        *(RestoreLink(restore=end) for end in sorted(state.cut)),
        *(action for end in moved for action in _plug_back(state, end, first.far[end])),
        *(Power(power={node: "on"}) for node, is_off in off.items() if is_off),
        *(ClearLink(clear=end) for end in sorted(state.impaired) if state.far.get(end, "") not in state.impaired or end < state.far[end]),
    )


def _plug_back(state: _State, end: str, far: str) -> list[MoveLink]:
    """The move that joins these two again, from the one of them that has a cable."""
    here, there = (end, far) if end in state.far else (far, end)
    return [MoveLink(move=f"{here} -> {there}")] if here in state.far and there not in state.far else []


def touched(actions: Iterable[Action]) -> tuple[str, ...]:
    """The nodes that commands, settings and power switches of these actions are about, each once."""
    names: list[str] = []
    for action in actions:
        match action:
            case OnNodes():
                names += action.commands
            case SetSettings():
                names += action.set
            case Power():
                names += action.power
            case _:
                pass
    return tuple(dict.fromkeys(names))


def _inverse(state: _State, action: Action) -> list[Action] | None:
    """What takes `action` back, done in `state`; None if nothing but a reset does."""
    match action:
        case CutLink(cut=end):
            return [] if _is_cut(state, end) else [RestoreLink(restore=end)]
        case RestoreLink(restore=end):
            return [CutLink(cut=end)] if _is_cut(state, end) else []
        case MoveLink(move=move):
            here = move.partition(" -> ")[0]
            return [MoveLink(move=f"{here} -> {state.far[here]}")] if here in state.far else []
        case ImpairLink(impair=end) | ClearLink(clear=end):
            by_hand = [(name, state.impaired[name]) for name in (end, state.far.get(end, end)) if name in state.impaired]
            return [*(_again(name, state.written[name], impairment) for name, impairment in by_hand), ClearLink(clear=end)]
        case SetSettings():
            before = {name: _settings_before(state, name, changes) for name, changes in action.set.items()}
            known = {name: old for name, old in before.items() if old is not None}
            return [SetSettings(set=known)] if len(known) == len(before) else None
        case _:
            return None


def _again(end: str, written: Impairment, impairment: Impairment) -> ImpairLink:
    """Makes of a cleared interface what it was: also what the file says and was taken away."""
    nothing = {key: "0ms" if key in ("delay", "jitter") else "0%" for key in written.words() if key not in ("rate", "mtu")}
    return ImpairLink(impair=end, one_way=True, **{**nothing, **impairment.words()})


def _settings_before(state: _State, node: str, changes: Mapping[str, Any]) -> dict[str, Any] | None:
    """The old values of these settings, a port's under its name; None if one of them had none."""
    own, ports = state.settings[node], state.ports[node]
    before: dict[str, Any] = {}
    for key, value in changes.items():
        if key in own:
            before[key] = own[key]
        elif key in ports and isinstance(value, Mapping) and all(name in ports[key] for name in value):
            before[key] = {name: ports[key][name] for name in value}
        else:
            return None
    return before


def _advance(state: _State, action: Action) -> None:
    """The state once `action` is done."""
    match action:
        case CutLink(cut=end):
            state.cut.add(end)
        case RestoreLink(restore=end):
            state.cut -= {end, state.far.get(end, end)}
        case ImpairLink(impair=end, one_way=one_way):
            for name in (end,) if one_way else (end, state.far.get(end, end)):
                state.impaired[name] = merged(state.impaired.get(name, state.written.get(name, NONE)), action)
        case ClearLink(clear=end):
            for name in (end, state.far.get(end, end)):
                state.impaired.pop(name, None)
        case MoveLink(move=move):
            here, _, there = move.partition(" -> ")
            state.far.pop(state.far.pop(here, ""), None)
            state.far.update({here: there, there: here})
        case SetSettings():
            for node, changes in action.set.items():
                _change(state, node, changes)
        case _:
            pass


def _change(state: _State, node: str, changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        port = state.ports[node].get(key)
        if key not in state.settings[node] and port is not None and isinstance(value, Mapping):
            port.update(value)
        else:
            state.settings[node][key] = value


def _state_of(lab: Lab) -> _State:
    state = _State()
    for link in lab.links:
        state.far.update({str(link.a): str(link.b), str(link.b): str(link.a)})
    for node in lab.nodes:
        state.settings[node.name] = dict(node.settings)
        state.written |= {f"{node.name}:{port.name}": port.impairment for port in node.nics}
        state.ports[node.name] = {port.name: dict(port.settings) for port in node.interfaces}
    return state


def _is_cut(state: _State, end: str) -> bool:
    return bool({end, state.far.get(end, end)} & state.cut)


def _without(action: Action, resets: set[str]) -> list[Action]:
    """`action` less what a reset of these nodes does anyway."""
    if not isinstance(action, SetSettings):
        return [action]
    left = {name: settings for name, settings in action.set.items() if name not in resets}
    return [SetSettings(set=left)] if left else []


def _in_order(lab: Lab, names: Iterable[str]) -> tuple[str, ...]:
    wanted = set(names)
    return tuple(node.name for node in lab.nodes if node.name in wanted)

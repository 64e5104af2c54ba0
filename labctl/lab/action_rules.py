"""Rules for actions: the nodes and ends they name exist, and the settings they set are ones of the role.

Gives each action back with its settings read by the role's schema, so that `learning: true` is a truth value for whoever carries it out.
"""

from typing import Any

from labctl.lab.actions import Action, ClearLink, CutLink, ImpairLink, MoveLink, OnNodes, Power, RestoreLink, SetSettings
from labctl.lab.impairments import KEYS, NONE, merged, why_impossible
from labctl.lab.known import Known
from labctl.lab.settings import read_settings, split_ports
from labctl.lab.short_forms import ACTION_WORDS
from labctl.lab.topology import End
from labctl.lab.tree import Path
from labctl.lab.words import listed


def read_actions(actions: tuple[Action, ...], path: Path, known: Known, also: frozenset[End]) -> tuple[Action, ...]:
    """The actions, judged; `also` are ends into which some move plugs a cable."""
    return tuple(_read(action, (*path, number), known, also) for number, action in enumerate(actions))


def moved_to(actions: tuple[Action, ...]) -> frozenset[End]:
    """Where moves plug cables in."""
    texts = [action.move.split(" -> ")[1] for action in actions if isinstance(action, MoveLink)]
    return frozenset(End(*text.split(":")) for text in texts)


def _read(action: Action, path: Path, known: Known, also: frozenset[End]) -> Action:
    match action:
        case OnNodes(commands=commands):
            for name in commands:
                known.node(name, (*path, name), key=True, or_words=ACTION_WORDS)
        case Power(power=power):
            for name in power:
                known.node(name, (*path, "power", name), key=True)
        case CutLink(cut=end):
            known.cable(end, (*path, "cut"), also)
        case RestoreLink(restore=end):
            known.cable(end, (*path, "restore"), also)
        case ImpairLink():
            _impair(action, path, known, also)
        case ClearLink(clear=end):
            known.cable(end, (*path, "clear"), also)
        case MoveLink(move=move):
            source, target = move.split(" -> ")
            known.cable(source, (*path, "move"), also)
            known.end(target, (*path, "move"))
            if source == target:
                known.faults.add((*path, "move"), f"`{move}` moves nothing")
        case SetSettings(set=changes):
            return SetSettings(set={name: _settings(name, given, (*path, "set", name), known) for name, given in changes.items()})
    return action


def _impair(action: ImpairLink, path: Path, known: Known, also: frozenset[End]) -> None:
    known.cable(action.impair, (*path, "impair"), also)
    if all(getattr(action, key) is None for key in KEYS) and not known.faults.tree.at(path).damaged:
        known.faults.add((*path, "impair"), f"`impair` does nothing to {action.impair}", "give " + listed(f"`{key}`" for key in KEYS))
    before = known.impairments.get(End(*action.impair.split(":")), NONE)
    if found := why_impossible(merged(before, action)):
        known.faults.add((*path, found[0]), f"`{found[0]}` cannot be so", found[1])


def _settings(name: str, given: dict[str, Any], path: Path, known: Known) -> dict[str, Any]:
    node = known.node(name, path, key=True)
    if node is None or node.role is None:
        return given
    if not given:
        known.faults.add(path, f"`set` changes nothing of {name}")
    properties = node.role.file.settings
    mine, at_ports = split_ports(given, properties, {port.name for port in known.interfaces[name] if port.mac})
    values, problems = read_settings(properties, mine, f"role {node.role.name}")
    for port, settings in at_ports.items():
        if not isinstance(settings, dict):
            known.faults.add((*path, port), f"`{port}` is a port of {name}", "a mapping with its settings is wanted")
            continue
        values[port], more = read_settings(node.role.file.port_settings, settings, f"a port of role {node.role.name}")
        for one in more:
            known.faults.add((*path, port, *one.path), one.what, one.why, one.hint, key=one.on_key)
    for one in problems:
        known.faults.add((*path, *one.path), one.what, one.why, one.hint, key=one.on_key)
    return values

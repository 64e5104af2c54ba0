"""Rules for scenarios: what they name exists, their moments follow each other and end. Gives them back in the order of time."""

from typing import Any

from labctl.lab.action_rules import moved_to, read_actions
from labctl.lab.draft_links import DraftLink
from labctl.lab.draft_nodes import DraftNode
from labctl.lab.faults import Faults
from labctl.lab.known import Known
from labctl.lab.model import Check, LabFile
from labctl.lab.observation_rules import judge_target
from labctl.lab.observations import Asked, Observation, ProbeSeen
from labctl.lab.scenarios import PingProbe, Scenario, ScenarioEntry
from labctl.lab.topology import Interface
from labctl.lab.tree import Path
from labctl.lab.values import Text, seconds_of
from labctl.lab.words import meant

LONGEST_S = 600.0
QUICKEST_S = 0.01
UNITS = {"longest_gap": ("a duration like 2s", ("ms", "s", "m")), "loss": ("a share like 5%", ("%",)), "answers": ("a number", ("",))}


def read_scenarios(
    model: LabFile, nodes: dict[str, DraftNode], interfaces: dict[str, tuple[Interface, ...]], links: list[DraftLink], faults: Faults
) -> tuple[Scenario, ...]:
    """All scenarios, judged and with the settings of their actions read."""
    known = Known.of(nodes, interfaces, links, faults)
    return tuple(_scenario(name, entry, ("scenarios", name), known) for name, entry in model.scenarios.items())


def _scenario(name: str, entry: ScenarioEntry, path: Path, known: Known) -> Scenario:
    for key, probe in entry.probes.items():
        here = (*path, "probes" if known.faults.tree.at(path).child("probes") else "probe", key)
        http = not isinstance(probe, PingProbe)
        judge_target(probe.http if not isinstance(probe, PingProbe) else probe.ping, (*here, "http" if http else "ping"), known, urls=http)
        if seconds_of(probe.every) < QUICKEST_S:
            known.faults.add((*here, "every"), f"`every` is `{probe.every}`", f"at least {QUICKEST_S * 1000:g}ms")
    also = moved_to(tuple(action for moment in entry.timeline for action in moment.actions))
    moments, before_s, end_s = [], 0.0, 0.0
    for number, moment in enumerate(entry.timeline):
        here, at_s = (*path, "timeline", number), seconds_of(moment.at)
        if at_s < before_s:
            known.faults.add(here, f"`{moment.at}` comes after `{entry.timeline[number - 1].at}`", "moments stand in the order of time")
        if moment.end != (number == len(entry.timeline) - 1):
            why = "nothing comes after the end" if moment.end else "the last moment is the end, as in `30s end`"
            known.faults.add(here, "an end that is not last" if moment.end else "a timeline without an end", why)
        if moment.end == bool(moment.actions) and not known.faults.tree.at(here).damaged:
            known.faults.add(here, f"nothing is done at {moment.at}" if not moment.end else "the end does nothing")
        before_s = max(before_s, at_s)
        end_s = before_s
        if moment.actions:
            moments.append((at_s, read_actions(moment.actions, (*here, "do"), known, also)))
    if end_s > LONGEST_S:
        known.faults.add((*path, "timeline"), f"the scenario lasts {end_s:g} s", f"at most {LONGEST_S:g} s")
    after = read_actions(entry.after, (*path, "after"), known, also)
    return Scenario(name, entry.says or Text(en=name), dict(entry.probes), tuple(moments), end_s, after)


def judge_check(check: Check, path: Path, scenarios: dict[str, ScenarioEntry], known: Known) -> None:
    """Adds faults where a check and its scenario do not fit."""
    if check.scenario is not None and check.scenario not in scenarios:
        why = "" if scenarios else "the lab has none"
        known.faults.add((*path, "scenario"), f"no scenario `{check.scenario}`", why, meant(check.scenario, scenarios))
        return
    entry = scenarios[check.scenario] if check.scenario else None
    for number, seen in enumerate(check.see):
        judge_seen(seen, (*path, "see", number), entry, known)


def judge_seen(seen: Observation, path: Path, entry: ScenarioEntry | None, known: Known) -> None:
    """The same for one observation; `entry` is None where there is no scenario, as in `ready`."""
    if isinstance(seen, ProbeSeen) and entry is None:
        known.faults.add((*path, "probe"), "`probe` without a scenario", "give the check `scenario:`")
    if isinstance(seen, ProbeSeen):
        _probe(seen, path, entry, known)
    if isinstance(seen, ProbeSeen | Asked) and seen.during is not None:
        _window(seen.during, (*path, "during"), entry, known)
    if isinstance(seen, Asked) and seen.during is not None and seen.within is not None:
        known.faults.add((*path, "within"), "`within` and `during` do not go together", "a window is looked at throughout")


def _probe(seen: ProbeSeen, path: Path, entry: ScenarioEntry | None, known: Known) -> None:
    if entry is not None:
        names = list(entry.probes)
        if seen.of is not None and seen.of not in names:
            known.faults.add((*path, "of"), f"no probe `{seen.of}` in the scenario", "", meant(seen.of, names))
        if seen.of is None and len(names) > 1:
            known.faults.add((*path, "probe"), "which probe is meant?", "the scenario has several", f"give `of`: {', '.join(names)}")
    bounds: dict[str, Any] = {"at_least": seen.at_least, "at_most": seen.at_most}
    if not any(bounds.values()) and not known.faults.tree.at(path).damaged:
        known.faults.add(path, "nothing is expected of this probe", "give `at_least`, `at_most` or both")
    words, units = UNITS[seen.probe]
    for key, value in bounds.items():
        if value is not None and value.lstrip("0123456789.") not in units:
            known.faults.add((*path, key), f"`{key}` is `{value}`", f"{words} is wanted")


def _window(window: str, path: Path, entry: ScenarioEntry | None, known: Known) -> None:
    first, _, last = window.partition("..")
    if entry is None:
        known.faults.add(path, "`during` without a scenario", "give the check `scenario:`")
    elif seconds_of(first) >= seconds_of(last):
        known.faults.add(path, f"the window {window} is empty")
    elif seconds_of(last) > seconds_of(entry.timeline[-1].at):
        known.faults.add(path, f"the window {window} goes beyond the end", f"the scenario ends at {entry.timeline[-1].at}")

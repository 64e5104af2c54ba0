"""Frames that were seen at an interface → whether the observation of that wire holds. Pure.

Owns what `frames`, `values` and `same_bytes_as` mean. Nothing seen is never enough for `values` or `same_bytes_as`: of no frame
anything is true. A bare `wire:` asks for at least one frame.
"""

from collections import Counter

from labctl.check.frames import Frame, Sight, plain_value, values_of
from labctl.check.readable import one_line
from labctl.check.texts import holds
from labctl.check.wording import both, joined
from labctl.lab.model import Between, Distinct, Text, WireSeen

SHOWN_VALUES = 8


def look_at_frames(observation: WireSeen, sight: Sight, other: Sight | None) -> tuple[bool, Text]:
    """Whether all that is expected of the frames holds, and what was seen."""
    seen = [_count_seen(sight)]
    held = _count_holds(observation, len(sight.frames))
    for name, wanted in (observation.values or {}).items():
        found = values_of(sight.frames, name)
        held = held and _values_hold(wanted, found)
        seen.append(_values_seen(name, found))
    if other is not None:
        same, words = _same_bytes(sight.frames, other.frames, observation.same_bytes_as or "")
        held = held and same
        seen.append(words)
    return held, joined(seen)


def _count_holds(observation: WireSeen, found: int) -> bool:
    if observation.frames is not None:
        return holds(observation.frames, found)
    return bool(observation.values) or found > 0


def _count_seen(sight: Sight) -> Text:
    found, passed = len(sight.frames), sight.passed_in_all
    return both(f"{found} of {passed} frames match", f"通ったフレーム {passed} 個のうち合うもの {found} 個")


def _values_hold(wanted: list[str] | Distinct, found: frozenset[str]) -> bool:
    if isinstance(wanted, Distinct):
        none_wanted = not isinstance(wanted.distinct, Between) and wanted.distinct == 0
        return holds(wanted.distinct, len(found)) and (bool(found) or none_wanted)
    return found == {plain_value(value) for value in wanted}


def _values_seen(name: str, found: frozenset[str]) -> Text:
    shown = ", ".join(one_line(value, 60) for value in sorted(found)[:SHOWN_VALUES])
    more = f" … ({len(found)})" if len(found) > SHOWN_VALUES else ""
    return both(f"{name}: {shown or 'none'}{more}", f"{name}: {shown or 'なし'}{more}")


def _same_bytes(here: tuple[Frame, ...], there: tuple[Frame, ...], end: str) -> tuple[bool, Text]:
    """Compared as sets that count: on two wires the two directions may come in another order."""
    if not here and not there:
        return False, both(f"no frame to compare with {end}", f"{end} と比べるフレームがない")
    mine, theirs = Counter(frame.data for frame in here), Counter(frame.data for frame in there)
    only_here, only_there = (mine - theirs).total(), (theirs - mine).total()
    if not only_here and not only_there:
        return True, both(f"the same bytes at {end}", f"{end} と同じバイト列")
    return False, both(
        f"frames that differ from those at {end}: {only_here} here, {only_there} there",
        f"{end} と違うフレーム: こちらに {only_here} 個、{end} に {only_there} 個",
    )

"""The short forms of a lab file, written out: `{pc1: ping …}`, `r1..r2`, one action where a list may stand, `frames: 6`.

Pure functions from data to data, used by `lab/model.py` before a value is validated. What they do not know they leave alone:
the model then says what is wrong.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from labctl.lab.tree import Plain, core
from labctl.lab.words import MAX_RANGE, expand

ACTION_WORDS = ("set", "cut", "restore", "impair", "clear", "move", "power", "commands")
SABOTAGE_WORDS = frozenset(("actions", "do", "undo", "says", "kills_all"))


def as_value(value: Any) -> Any:
    """A number or truth value as the core rules read it."""
    return value.value if isinstance(value, Plain) else value


def as_core(value: Any) -> Any:
    return core(value)


def as_list(value: Any) -> Any:
    """One action (observation, sabotage) where a list may stand."""
    return [value] if isinstance(value, Mapping | BaseModel) else value


def as_strings(value: Any) -> Any:
    """One text where a list of texts may stand."""
    return [value] if isinstance(value, str) else value


def as_text(value: Any) -> Any:
    """`title: A hub` is English."""
    return {"en": value} if isinstance(value, str) else value


def as_role(value: Any) -> Any:
    """`pc1: host` names the role only."""
    return {"role": value} if isinstance(value, str) else value


def as_ends(value: Any) -> Any:
    """`pc1:eth1 -- sw1:port1` is a link without settings."""
    return {"ends": value} if isinstance(value, str) else value


def as_content(value: Any) -> Any:
    """A text is a file's content."""
    return {"content": value} if isinstance(value, str) else value


def as_command(value: Any) -> Any:
    return {"run": value} if isinstance(value, str) else value


def as_action(value: Any) -> Any:
    """`{pc1: ping …, r1..r2: {start: …}}` is a command on each of these nodes."""
    if not isinstance(value, Mapping) or any(word in value for word in ACTION_WORDS):
        return value
    return {"commands": dict(value)}


def as_sabotage(value: Any) -> Any:
    """A single action, or a list of them, is a sabotage without words."""
    if isinstance(value, list):
        return {"actions": value}
    if not isinstance(value, Mapping):
        return {"actions": [value]} if isinstance(value, BaseModel) and type(value).__name__ != "Sabotage" else value
    if not SABOTAGE_WORDS & value.keys():
        return {"actions": [dict(value)]}
    return value


def by_node(value: Any) -> Any:
    """A mapping by node, its ranges written out. ValueError where two keys name one node."""
    if not isinstance(value, Mapping):
        return value
    out: dict[str, Any] = {}
    for key, item in value.items():
        for name in expand(str(key)):
            if name in out:
                raise ValueError(f"`{name}` stands here twice, the second time by `{key}`")
            out[name] = item
        if len(out) > MAX_RANGE:
            raise ValueError(f"more than {MAX_RANGE} nodes stand here, ranges written out")
    return out

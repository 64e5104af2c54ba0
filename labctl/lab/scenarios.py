"""Scenarios of a lab file, timelines of faults with probes that run throughout: `[5s cut r1:eth1, 20s restore r1:eth1, 30s end]`.


Owns their models and the short forms of a timeline's moments. What they name is judged by `lab/scenario_rules.py`; running one is the
engine's, what its probes saw is judged by `check/probes.py`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AliasChoices, BeforeValidator, Discriminator, Field, Tag
from typing_extensions import TypeAliasType

from labctl.lab.actions import Action, Actions
from labctl.lab.values import DURATION, NODE_KEY, TOWARDS, Duration, Flag, Name, Strict, Text, Words

MOMENT_FORMS = "a moment is written `5s cut r1:eth1`, `5s r1: command`, `30s end`, or with `at` and `do`"
WORDS = ("cut", "restore", "impair", "clear", "move", "power", "kill", "stop", "start", "end")


class PingProbe(Strict):
    """Echo requests at an interval: `{ping: h1 -> 10.3.0.10, every: 100ms}`."""

    ping: Annotated[str, Field(pattern=TOWARDS)] = Field(description="node -> address or node")
    every: Duration = Field(default="100ms", description="interval")


class HttpProbe(Strict):
    """Requests for a page at an interval, each on a connection of its own."""

    http: Annotated[str, Field(pattern=TOWARDS)] = Field(description="node -> address, node or URL")
    every: Duration = Field(default="500ms", description="interval")


def _probe_kind(value: Any) -> str:
    return "HttpProbe" if isinstance(value, HttpProbe) or (isinstance(value, Mapping) and "http" in value) else "PingProbe"


Probe = Annotated[Annotated[PingProbe, Tag("PingProbe")] | Annotated[HttpProbe, Tag("HttpProbe")], Discriminator(_probe_kind)]


def as_probes(value: Any) -> Any:
    """One probe is called what it does."""
    kind = next((word for word in ("ping", "http") if isinstance(value, Mapping) and isinstance(value.get(word), str)), None)
    return {kind: value} if kind else value


class Moment(Strict):
    """What is done at one time of the timeline; `end` ends the scenario."""

    at: Duration = Field(description="since the beginning")
    actions: Actions = Field(default=(), validation_alias=AliasChoices("do", "actions"), description="what is done")
    end: Flag = Field(default=False, description="the scenario is over")


def as_moment(value: Any) -> Any:
    """`5s cut r1:eth1` and `{5s r1: command}` in the long form; ValueError says how a moment is written."""
    if isinstance(value, str):
        return _from_words(value)
    if isinstance(value, Mapping) and len(value) == 1:
        ((key, command),) = value.items()
        at, _, node = str(key).partition(" ")
        if re.fullmatch(DURATION[1:-1], at) and re.fullmatch(NODE_KEY[1:-1], node):
            return {"at": at, "do": [{node: command}]}
    return value


def _from_words(text: str) -> dict[str, Any]:
    at, word, *rest = [*text.split(), "", ""][: max(2, len(text.split()))]
    if not re.fullmatch(DURATION[1:-1], at) or word not in WORDS:
        raise ValueError(f"`{text[:60]}` is no moment: {MOMENT_FORMS}")
    if word == "end" and not rest:
        return {"at": at, "end": True}
    try:
        return {"at": at, "do": [_action(word, rest)]}
    except ValueError:
        raise ValueError(f"`{text[:60]}` is no moment: {_FORMS[word]}") from None


_FORMS = {
    "impair": "as in `5s impair r1:eth1 loss=100%`",
    "move": "as in `5s move pc1:eth1 -> sw1:port5`",
    "power": "as in `5s power r1 off`",
    "kill": "as in `5s kill r1 ospfd`: the processes of that name are killed",
    "stop": "as in `5s stop web1 nginx`: a unit of systemd",
    "start": "as in `5s start web1 nginx`: a unit of systemd",
    "end": "as in `30s end`",
    **{word: f"as in `5s {word} r1:eth1`" for word in ("cut", "restore", "clear")},
}


def _action(word: str, rest: list[str]) -> dict[str, Any]:
    match word:
        case "cut" | "restore" | "clear":
            (end,) = rest
            return {word: end}
        case "impair":
            end, *values = rest
            return {"impair": end, **dict(_value(value) for value in values)}
        case "move":
            here, arrow, there = rest
            return {"move": f"{here} {arrow} {there}"}
        case "power":
            node, state = rest
            return {"power": {node: state}}
        case "kill" | "stop" | "start":
            node, name = rest
            if not re.fullmatch(r"[A-Za-z0-9@._-]+", name):
                raise ValueError(name)
            return {node: f"pkill -KILL -x {name}" if word == "kill" else f"systemctl {word} {name}"}
    raise ValueError(word)


def _value(text: str) -> tuple[str, Any]:
    if text == "one_way":
        return text, True
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(text)
    return key, int(value) if value.isdigit() else value


MomentShort = TypeAliasType("MomentShort", str | Moment | dict[str, str])
MomentEntry = Annotated[Moment, BeforeValidator(as_moment, json_schema_input_type=MomentShort)]


class ScenarioEntry(Strict):
    """A timeline of faults, with probes that run throughout."""

    says: Words | None = Field(default=None, description="what happens, in one sentence")
    probes: Annotated[dict[Name, Probe], BeforeValidator(as_probes, json_schema_input_type=Probe | dict[Name, Probe])] = Field(
        min_length=1, validation_alias=AliasChoices("probe"), description="one probe, or several by name"
    )
    timeline: tuple[MomentEntry, ...] = Field(
        min_length=1, description="`5s cut r1:eth1`, `20s restore r1:eth1`, … `30s end`; cables and links left changed are put back"
    )
    after: Actions = Field(default=(), description="done last, whatever happened: puts back what commands changed")


@dataclass(frozen=True)
class Scenario:
    """A scenario of a lab: moments in the order of time, `end_s` seconds long."""

    name: str
    says: Text
    probes: Mapping[str, Probe]
    moments: tuple[tuple[float, tuple[Action, ...]], ...]
    end_s: float
    after: tuple[Action, ...] = ()

    @property
    def actions(self) -> tuple[Action, ...]:
        """Everything that it does, in order."""
        return (*(action for _, actions in self.moments for action in actions), *self.after)


def probe_words(probe: Probe) -> str:
    """`ping h1 -> 10.3.0.10`."""
    return f"ping {probe.ping}" if isinstance(probe, PingProbe) else f"http {probe.http}"

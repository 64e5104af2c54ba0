"""What can be seen of a running lab: the items of a check's `see` and of `ready`, told apart by their first word.

Owns the observations' models. What to run for them is `check/ask.py`'s, what the answer means `check/judge.py`'s.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Discriminator, Field, Tag

from labctl.lab.short_forms import as_core, as_list, by_node
from labctl.lab.values import (
    REACH_BY,
    TOWARDS,
    WINDOW,
    Command,
    Count,
    Duration,
    EndName,
    FieldValues,
    Figure,
    Flag,
    Name,
    NodeKey,
    Number,
    OneOrMore,
    Strict,
    Words,
)

RouteSource = Literal["ospf", "rip", "bgp", "static", "connected"]


class Seen(Strict):
    """What every observation has."""

    witness: Flag = Field(default=False, description="proves that anything happened at all; an absence counts only beside one")
    says: Words | None = Field(default=None, description="what it shows, for the report")
    within: Duration | None = Field(default=None, description="look again until it holds, this long at most")


class Asked(Seen):
    """What a node can be asked again and again."""

    during: Annotated[str, Field(pattern=WINDOW)] | None = Field(
        default=None, description="window of the check's scenario, as in 10s..18s: every look that ends in it must hold, and one must"
    )


class TextExpectations(Seen):
    """Expectations on a text; all that are given must hold."""

    equals: str | None = Field(default=None, description="the text, white space at both ends aside")
    contains: OneOrMore | None = Field(default=None, description="these pieces stand in it")
    lacks: OneOrMore | None = Field(default=None, description="these pieces do not stand in it")
    matches: str | None = Field(default=None, description="this regular expression (Python's) is found in it")
    rows: Count | None = Field(default=None, description="number of lines that are not empty; of a JSON list, its length")
    json_values: Annotated[dict[str, Any], BeforeValidator(as_core)] | None = Field(
        default=None, alias="json", description="path (a.b[0].c) → value, in the text read as JSON"
    )


class RunSeen(TextExpectations, Asked):
    """Ask a node: run a command and judge its status and what it prints."""

    node: Name = Field(description="where")
    run: Command
    fails: Flag = Field(default=False, description="it must end with a status that is not 0")
    compared: Literal["same", "different", "more", "less"] | None = Field(
        default=None, description="with what it printed before `do`: the text, or (more, less) the first number in it"
    )


class OutputSeen(TextExpectations):
    """Judge what a command of `do` printed on a node."""

    output: Name = Field(description="the node whose command in `do` is judged")


class WireSeen(Seen):
    """What passed an interface while `do` ran, both directions: captured on the wire, outside the node."""

    wire: EndName = Field(description="the interface, as in pc1:eth1")
    filter: str = Field(default="", description="tshark display filter; empty is every frame")
    frames: Count | None = Field(default=None, description="how many frames match")
    values: dict[str, FieldValues] | None = Field(default=None, description="tshark field → the set of values seen, exactly")
    same_bytes_as: EndName | None = Field(default=None, description="the matching frames, byte for byte, as on that wire")


class ReachSeen(Asked):
    """Whether one node reaches an address: `{reach: pc1 -> 192.168.1.12, by: ping}`."""

    reach: Annotated[str, Field(pattern=TOWARDS)] = Field(description="node -> address")
    by: Annotated[str, Field(pattern=REACH_BY, description="ping, tcp/80, udp/53 or http")] = "ping"
    fails: Flag = Field(default=False, description="it must not be reached")


class RouteSeen(Asked):
    """An entry of the routing tables: `{route: {r1: 10.3.0.0/24}, next_hop: 10.0.12.2}`."""

    route: Annotated[
        dict[Name, str],
        Field(min_length=1),
        BeforeValidator(by_node, json_schema_input_type=dict[NodeKey, str]),
    ] = Field(description="node → destination (network or `default`)")
    next_hop: str | None = Field(default=None, description="address of the next router")
    interface: str | None = Field(default=None, description="interface it goes out by")
    metric: Number | None = Field(default=None, description="its distance")
    source: RouteSource | None = Field(
        default=None, alias="from", description="who found it: asked of FRR, with the distance of that protocol, not of the kernel"
    )
    absent: Flag = Field(default=False, description="there must be no such route")


class NeighbourSeen(Asked):
    """An entry of the tables of neighbours (ARP, IPv6 neighbour discovery): `{neighbour: {pc1: 192.168.1.12}, mac: pc2:eth1}`."""

    neighbour: Annotated[
        dict[Name, str],
        Field(min_length=1),
        BeforeValidator(by_node, json_schema_input_type=dict[NodeKey, str]),
    ] = Field(description="node → address of the neighbour")
    mac: str | None = Field(default=None, description="its MAC address, or the interface that has it, as in pc2:eth1")
    interface: str | None = Field(default=None, description="interface behind which it is")
    absent: Flag = Field(default=False, description="its MAC address must not be known")


class PathSeen(Asked):
    """The way packets take: the nodes between, in order, found by traceroute: `{path: h1 -> 10.3.0.10, via: [r1, r2]}`."""

    path: Annotated[str, Field(pattern=TOWARDS)] = Field(description="node -> address")
    via: list[Name] = Field(description="the nodes it goes through, in order; an empty list: none")


class ProbeSeen(Seen):
    """What a probe of the check's scenario saw: `{probe: longest_gap, at_most: 2s}`."""

    probe: Literal["longest_gap", "loss", "answers"] = Field(
        description="longest time without an answer (from the first lost to the next answered), share lost, number of answers"
    )
    of: Name | None = Field(default=None, description="which probe; needless where the scenario has one")
    at_least: Figure | None = Field(default=None, description="no less than this: 2s, 5% or a number")
    at_most: Figure | None = Field(default=None, description="no more than this")
    during: Annotated[str, Field(pattern=WINDOW)] | None = Field(default=None, description="only what was sent then: 10s..18s")


_KINDS = {
    "node": "RunSeen",
    "output": "OutputSeen",
    "wire": "WireSeen",
    "reach": "ReachSeen",
    "route": "RouteSeen",
    "neighbour": "NeighbourSeen",
    "path": "PathSeen",
    "probe": "ProbeSeen",
}
OBSERVATION_WORDS = tuple(_KINDS)


def _seen_kind(value: Any) -> str | None:
    if isinstance(value, BaseModel):
        return type(value).__name__
    return next((kind for word, kind in _KINDS.items() if word in value), None) if isinstance(value, Mapping) else None


Observation = Annotated[
    Annotated[RunSeen, Tag("RunSeen")]
    | Annotated[OutputSeen, Tag("OutputSeen")]
    | Annotated[WireSeen, Tag("WireSeen")]
    | Annotated[ReachSeen, Tag("ReachSeen")]
    | Annotated[RouteSeen, Tag("RouteSeen")]
    | Annotated[NeighbourSeen, Tag("NeighbourSeen")]
    | Annotated[PathSeen, Tag("PathSeen")]
    | Annotated[ProbeSeen, Tag("ProbeSeen")],
    Discriminator(_seen_kind, custom_error_type="seen_kind", custom_error_message="not an observation"),
]
Observations = Annotated[tuple[Observation, ...], BeforeValidator(as_list, json_schema_input_type=Observation | tuple[Observation, ...])]

"""The lab file as its author writes it: a strict model from which loader, JSON Schema, reference page and messages are made.

Owns every key of `lab.yaml` and its one-line description. Short forms are written out first (`lab/short_forms.py`), and what may be
one of several things is judged as the one its keys say it is, so that a fault is told once. What the keys mean together (links name
nodes that exist, addresses fit their subnet) is `lab/load.py`'s; what a role's settings may be is the role's own schema.
"""

from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from labctl.lab.actions import (
    Action,
    Actions,
    ActionShort,
    ClearLink,
    CutLink,
    ImpairLink,
    MoveLink,
    OnNodes,
    Power,
    RestoreLink,
    RunCommand,
    SetSettings,
    StartCommand,
)
from labctl.lab.impairments import ImpairmentKeys
from labctl.lab.observations import (
    NeighbourSeen,
    Observation,
    Observations,
    OutputSeen,
    PathSeen,
    ProbeSeen,
    ReachSeen,
    RouteSeen,
    RunSeen,
    Seen,
    TextExpectations,
    WireSeen,
)
from labctl.lab.scenarios import ScenarioEntry
from labctl.lab.short_forms import as_content, as_ends, as_list, as_role, as_sabotage, by_node
from labctl.lab.values import (
    CHECK_ID,
    END,
    INTERFACE,
    MEMORY,
    NAME,
    Architecture,
    Between,
    Claim,
    Command,
    Count,
    Distinct,
    Duration,
    EndName,
    FileMode,
    Flag,
    Name,
    NodeKey,
    Number,
    PackageName,
    Strict,
    Strings,
    Text,
    UnpackPlace,
    Words,
)

__all__ = [
    "END",
    "INTERFACE",
    "NAME",
    "Action",
    "Between",
    "Check",
    "ClearLink",
    "Command",
    "Count",
    "CutLink",
    "Distinct",
    "Duration",
    "EndName",
    "FileEntry",
    "ImpairLink",
    "LabFile",
    "LinkEntry",
    "MoveLink",
    "Name",
    "NeighbourSeen",
    "NodeEntry",
    "Observation",
    "OnNodes",
    "OutputSeen",
    "PackageName",
    "PathSeen",
    "Power",
    "ProbeSeen",
    "ReachSeen",
    "RestoreLink",
    "RouteEntry",
    "RouteSeen",
    "RunCommand",
    "RunSeen",
    "Sabotage",
    "Seen",
    "SetSettings",
    "StartCommand",
    "Strict",
    "Text",
    "TextExpectations",
    "WireSeen",
]

# --- checks ------------------------------------------------------------------------------------------------------------------


class Sabotage(Strict):
    """One way to break the lesson. In the file a single action, or this long form."""

    actions: Actions = Field(min_length=1, validation_alias=AliasChoices("do", "actions"), description="what breaks it")
    undo: Actions = Field(default=(), description="puts it right; without it labctl inverts what it can, else resets the nodes")
    says: Words | None = Field(default=None, description="what was broken, for `break --reveal`")
    kills_all: str = Field(default="", description="why this one may turn every check of the lab red")


SabotageEntry = Annotated[Sabotage, BeforeValidator(as_sabotage, json_schema_input_type=Sabotage | ActionShort)]
Sabotages = Annotated[
    tuple[SabotageEntry, ...],
    BeforeValidator(as_list, json_schema_input_type=Sabotage | ActionShort | tuple[Sabotage | ActionShort, ...]),
]


class Check(Strict):
    """Something that must be true: a stimulus, what is seen, and sabotages under which it is not."""

    id: Annotated[str, Field(pattern=CHECK_ID)] = Field(description="its name in reports and commands")
    proves: tuple[Claim, ...] = Field(default=(), description="ids of docs/claims.yaml")
    says: Words = Field(description="what is true, in one sentence")
    variant: str | None = Field(default=None, description="only in this variant")
    before: Actions = Field(default=(), description="done first, outside the captures")
    do: Actions = Field(default=(), description="the stimulus; must succeed")
    scenario: Name | None = Field(default=None, description="run this scenario, after `do`; its probes can be seen")
    see: Observations = Field(min_length=1, description="what is observed; all of it must hold")
    after: Actions = Field(default=(), description="done last, whatever happened: puts back what `do` changed")
    sabotage: Sabotages = Field(min_length=1, description="each must make an observation fail; every observation must be failed by one")
    task: Flag = Field(default=False, description="an exercise: fails until `solution` is done")
    solution: Actions = Field(default=(), description="what a student would do")
    hint: Words | None = Field(default=None, description="help for the student")


# --- the file ----------------------------------------------------------------------------------------------------------------


class FileEntry(Strict):
    """A file for a node: `content`, or `source`, a file in the lab's directory; `template: true` renders it by Jinja2."""

    content: str | None = Field(default=None, description="the text itself")
    source: str | None = Field(default=None, description="file in the lab's directory that holds it")
    mode: FileMode = Field(default="0644", description="permissions, octal")
    template: Flag = Field(default=False, description="render it for the node by Jinja2")


FileEntryShort = Annotated[FileEntry, BeforeValidator(as_content, json_schema_input_type=str | FileEntry)]


class UnpackEntry(Strict):
    """Debian packages, also of another CPU architecture: `{architecture: arm64, packages: [busybox-static]}`."""

    architecture: Architecture = Field(description="Debian's name of it")
    packages: tuple[PackageName, ...] = Field(min_length=1, description="what they depend on comes along")


class RouteEntry(Strict):
    """A static route: `{to: 10.2.0.0/16, via: 10.1.0.1}`."""

    to: str = Field(description="network, or `default`")
    via: str = Field(description="address of the router")
    metric: Number | None = Field(default=None, ge=0, le=4294967295, description="its distance; the smallest wins")


class NodeEntry(BaseModel):
    """A node. Keys that are not listed here are settings of its role."""

    model_config = ConfigDict(extra="allow", frozen=True)
    role: Name = Field(description="what it is made into")
    memory: Annotated[str, Field(pattern=MEMORY)] | None = Field(default=None, description="as in 512MiB; the role has a default")
    cpus: Number | None = Field(default=None, ge=1, le=16, description="the role has a default")
    gateway: str | None = Field(default=None, description="address of the default router")
    routes: tuple[RouteEntry, ...] = Field(default=(), description="static routes")
    packages: tuple[PackageName, ...] = Field(default=(), description="more Debian packages; they become an image layer")
    files: dict[str, FileEntryShort] = Field(
        default_factory=dict, description="path in the node → text or file; baked into an image layer unless a template"
    )
    unpack: dict[UnpackPlace, UnpackEntry] = Field(
        default_factory=dict, description="directory /srv/NAME → packages, of any architecture, unpacked there; nothing of them is run"
    )
    run: tuple[Command, ...] = Field(default=(), description="commands, run once in a machine without network and kept as an image layer")
    uplink: Flag = Field(default=False, description="a way to the internet, where the user allows it (--allow-uplink)")
    ipv6: Flag = Field(default=False, description="IPv6 on the lesson's interfaces")
    macs: dict[str, str] = Field(default_factory=dict, description="interface → MAC, where the lesson needs a literal one")
    ports: tuple[str, ...] = Field(default=(), description="interfaces without a cable, for a lesson that plugs one in")


NodeEntryShort = Annotated[NodeEntry, BeforeValidator(as_role, json_schema_input_type=Name | NodeEntry)]


class LinkEntry(ImpairmentKeys):
    """A link in its long form, with what it does to frames in each direction. Other keys are settings of the ports, by the roles at its
    ends: `vlan: 10`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    ends: str = Field(description="pc1:eth1 -- sw1:port1")
    each: dict[str, str] | None = Field(
        default=None,
        description="one link for each combination of numbers: `{row: 1..4, column: 1..4}`; its texts may hold `{row}`, `{column+1}`",
    )
    addresses: list[str] | None = Field(default=None, min_length=2, max_length=2, description="addresses of its two ends, in their order")


LinkEntryShort = Annotated[LinkEntry, BeforeValidator(as_ends, json_schema_input_type=str | LinkEntry)]
Variant = Annotated[dict[str, dict[str, Any]], BeforeValidator(by_node, json_schema_input_type=dict[NodeKey, dict[str, Any]])]


class LabFile(Strict):
    """`lab.yaml`: machines, cables, addresses, and what must be true of them."""

    name: Name
    title: Words = Field(description="what the lab shows, in a few words")
    summary: Words = Field(default=Text(en=""), description="what is learnt, in a sentence or two")
    topics: tuple[str, ...] = Field(default=(), description="anchors of the source text, as in ID_3-3-5")
    minutes: Number = Field(default=30, ge=1, le=600, description="time a student needs", json_schema_extra={"minimum": 1, "maximum": 600})
    nodes: dict[str, NodeEntryShort] = Field(min_length=1, description="name (or range pc1..pc3) → role, or the long form")
    links: tuple[LinkEntryShort, ...] = Field(default=(), description="cables: `pc1:eth1 -- sw1:port1`")
    addresses: dict[str, dict[str, Strings]] = Field(
        default_factory=dict, description="node → interface → address with prefix length, or a list"
    )
    ready: Observations = Field(default=(), description="the lab is up once all of these hold")
    variants: dict[Name, Variant] = Field(default_factory=dict, description="variant → node → settings that differ")
    scenarios: dict[Name, ScenarioEntry] = Field(default_factory=dict, description="name → timeline of faults, with probes")
    checks: tuple[Check, ...] = Field(default=(), description="what the lesson says, proven")

"""What can be done to a running lab: one vocabulary for `before`, `do`, `after`, `sabotage`, `undo` and `solution`.

Owns the actions' models and which of them a mapping is, by its keys: set, cut, restore, impair, clear, move, power, else
nodes with commands.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Discriminator, Field, Tag
from typing_extensions import TypeAliasType

from labctl.lab.impairments import ImpairmentKeys
from labctl.lab.short_forms import ACTION_WORDS, as_action, as_command, as_list, by_node
from labctl.lab.values import MOVE, Command, Duration, EndName, Flag, Name, NodeKey, Strict


class RunCommand(Strict):
    """A command on a node, in its long form."""

    run: Command
    fails: Flag = Field(default=False, description="it must end with a status that is not 0")
    within: Duration | None = Field(default=None, description="deadline for the command")


class StartCommand(Strict):
    """A command that goes on in the background until the check is over."""

    start: Command


def _command_kind(value: Any) -> str:
    starts = isinstance(value, StartCommand) or (isinstance(value, Mapping) and "start" in value and "run" not in value)
    return "StartCommand" if starts else "RunCommand"


CommandShort = TypeAliasType("CommandShort", Command | RunCommand | StartCommand)
NodeCommand = Annotated[
    Annotated[RunCommand, Tag("RunCommand")] | Annotated[StartCommand, Tag("StartCommand")],
    Discriminator(_command_kind),
    BeforeValidator(as_command, json_schema_input_type=CommandShort),
]
NodeCommands = Annotated[
    dict[Name, NodeCommand],
    Field(min_length=1),
    BeforeValidator(by_node, json_schema_input_type=dict[NodeKey, CommandShort]),
]


class OnNodes(Strict):
    """Commands on nodes, all at the same time. In the file simply `{pc1: ping …, pc2: …}`."""

    commands: NodeCommands


class SetSettings(Strict):
    """Change settings of roles on the running lab: `{set: {hub1: {learning: true}}}`."""

    set: Annotated[
        dict[Name, dict[str, Any]],
        Field(min_length=1),
        BeforeValidator(by_node, json_schema_input_type=dict[NodeKey, dict[str, Any]]),
    ] = Field(description="node → settings; under an interface's name the settings of that port")


class CutLink(Strict):
    """Pull the cable at an interface: the carrier goes at both ends."""

    cut: EndName = Field(description="the interface")


class RestoreLink(Strict):
    """Put the cable back."""

    restore: EndName = Field(description="the interface")


class ImpairLink(Strict, ImpairmentKeys):
    """Make a link worse: `{impair: r1:eth1, delay: 30ms, loss: 1%}`, in each direction. What is not named stays as it is."""

    impair: EndName = Field(description="the interface; the cable's other end is impaired too")
    one_way: Flag = Field(default=False, description="only what leaves this interface")


class ClearLink(Strict):
    """Make a link as the lab file says again."""

    clear: EndName = Field(description="the interface; the cable's other end is cleared too")


class MoveLink(Strict):
    """Move a cable's end: `{move: pc1:eth1 -> sw1:port4}` plugs what pc1:eth1 is wired to into sw1:port4."""

    move: Annotated[str, Field(pattern=MOVE)] = Field(description="end of a cable -> where its other end is plugged in")


PowerState = Literal["off", "on", "reboot"]


class Power(Strict):
    """Switch nodes: `{power: {r1: off}}`; off is a power cut, not a shutdown."""

    power: Annotated[
        dict[Name, PowerState],
        Field(min_length=1),
        BeforeValidator(by_node, json_schema_input_type=dict[NodeKey, PowerState]),
    ] = Field(description="node → off, on or reboot")


_KINDS = {
    "set": "SetSettings",
    "cut": "CutLink",
    "restore": "RestoreLink",
    "impair": "ImpairLink",
    "clear": "ClearLink",
    "move": "MoveLink",
    "power": "Power",
    "commands": "OnNodes",
}


def _action_kind(value: Any) -> str | None:
    if isinstance(value, BaseModel):
        return type(value).__name__
    return _KINDS[next(word for word in ACTION_WORDS if word in value)] if isinstance(value, Mapping) else None


ActionShort = TypeAliasType(
    "ActionShort", SetSettings | CutLink | RestoreLink | ImpairLink | ClearLink | MoveLink | Power | dict[NodeKey, CommandShort]
)
Action = Annotated[
    Annotated[OnNodes, Tag("OnNodes")]
    | Annotated[SetSettings, Tag("SetSettings")]
    | Annotated[CutLink, Tag("CutLink")]
    | Annotated[RestoreLink, Tag("RestoreLink")]
    | Annotated[ImpairLink, Tag("ImpairLink")]
    | Annotated[ClearLink, Tag("ClearLink")]
    | Annotated[MoveLink, Tag("MoveLink")]
    | Annotated[Power, Tag("Power")],
    Discriminator(_action_kind, custom_error_type="action_kind", custom_error_message="not an action"),
    BeforeValidator(as_action, json_schema_input_type=ActionShort),
]
Actions = Annotated[tuple[Action, ...], BeforeValidator(as_list, json_schema_input_type=ActionShort | tuple[ActionShort, ...])]

"""Pydantic's errors in the words of a lab's author: what is wrong, what is wanted, what was probably meant.

Owns these texts and the way from an error to the model class it speaks of. Places are `lab/tree.py`'s.
"""

from typing import Any, get_args

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo

from labctl.lab.faults import Faults
from labctl.lab.observations import OBSERVATION_WORDS
from labctl.lab.short_forms import ACTION_WORDS
from labctl.lab.tree import Path, Plain
from labctl.lab.values import WORDS_FOR
from labctl.lab.words import close, listed, meant, quoted

WANTED = {
    "string_type": "a text is wanted",
    "int_type": "a whole number is wanted",
    "int_parsing": "a whole number is wanted",
    "bool_type": "true or false is wanted",
    "bool_parsing": "true or false is wanted",
    "dict_type": "a mapping is wanted",
    "model_type": "a mapping is wanted",
    "model_attributes_type": "a mapping is wanted",
    "tuple_type": "a list is wanted",
    "list_type": "a list is wanted",
}
ACTION_FIELDS = ("before", "do", "after", "undo", "solution", "actions", "sabotage")
OWNERS = {
    "LabFile": "a lab",
    "NodeEntry": "a node",
    "LinkEntry": "a link",
    "Check": "a check",
    "Sabotage": "a sabotage",
    "Text": "a text: it has languages",
    "FileEntry": "a file",
    "RouteEntry": "a route",
    "RoleFile": "a role",
    "RoleTemplate": "a template",
    "Between": "a count",
    "Distinct": "a set of values",
    "RunCommand": "a command",
    "StartCommand": "a command",
    "RunSeen": "an observation with `node`",
    "OutputSeen": "an observation with `output`",
    "WireSeen": "an observation with `wire`",
    "ReachSeen": "an observation with `reach`",
    "RouteSeen": "an observation with `route`",
    "NeighbourSeen": "an observation with `neighbour`",
    "PathSeen": "an observation with `path`",
    "ProbeSeen": "an observation with `probe`",
    "ScenarioEntry": "a scenario",
    "Moment": "a moment",
    "PingProbe": "a probe",
    "HttpProbe": "a probe",
    "CutLink": "the action `cut`",
    "RestoreLink": "the action `restore`",
    "ImpairLink": "the action `impair`",
    "ClearLink": "the action `clear`",
    "MoveLink": "the action `move`",
    "SetSettings": "the action `set`",
    "Power": "the action `power`",
    "OnNodes": "commands on nodes",
}


def without_shadows(errors: list[Any]) -> list[Any]:
    """The errors, less those that only follow from another: a list whose one item is wrong is not empty too."""
    above = {tuple(error["loc"])[:length] for error in errors for length in range(len(error["loc"]))}
    return [error for error in errors if error["type"] != "too_short" or tuple(error["loc"]) not in above]


def explain_all(errors: list[Any], model: type[BaseModel], faults: Faults) -> None:
    """Adds a fault for each error."""
    for error in errors:
        _explain(error, tuple(error["loc"]), model, faults)


def _explain(error: Any, place: Path, model: type[BaseModel], faults: Faults) -> None:
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    on_key = bool(place) and place[-1] == "[key]"
    path = place[:-1] if on_key else place
    name = "a name here" if on_key else _name(faults.tree.found(path))
    if kind == "missing":
        field = str(place[-1])
        faults.add(path[:-1], f"`{field}` is missing", _description(model, place), key=True)
    elif kind == "extra_forbidden":
        owner = _owner(model, path[:-1])
        fields = [_written(key, field) for key, field in owner.model_fields.items()]
        what = f"no field `{path[-1]}` in {OWNERS.get(owner.__name__, owner.__name__)}"
        faults.add(path, what, "", _comma(path, value) or meant(str(path[-1]), fields), key=True)
    elif kind in WANTED:
        what = f"{name} has no value" if value is None else f"{name} is {quoted(value)}"
        faults.add(path, what, _wanted(kind, value), _action_hint(faults.tree.found(path), value))
    else:
        what, why, hint = _by_kind(kind, name, value, context, str(error["msg"]))
        faults.add(path, what, why, hint, key=on_key)


def _action_hint(found: Path, value: Any) -> str:
    """`do: ping …` forgets the node."""
    field = next((step for step in reversed(found) if isinstance(step, str)), "")
    return "a command is written {node: command}" if field in ACTION_FIELDS and isinstance(value, str) else ""


def _comma(path: Path, value: Any) -> str:
    """`{en: a hub, really}` makes a key of the second half."""
    return "inside { } a comma ends a text: put the text in quotes" if value is None and " " in str(path[-1]) else ""


def _by_kind(kind: str, name: str, value: Any, context: dict[str, Any], message: str) -> tuple[str, str, str]:
    match kind:
        case "string_pattern_mismatch":
            return f"{name} is {quoted(value)}", WORDS_FOR.get(context["pattern"], f"it must match {context['pattern']}"), ""
        case "greater_than_equal":
            return f"{name} is {quoted(value)}", f"at least {context['ge']}", ""
        case "less_than_equal":
            return f"{name} is {quoted(value)}", f"at most {context['le']}", ""
        case "too_short" | "string_too_short":
            return f"{name} is empty", "there must be something", ""
        case "string_too_long":
            return f"{name} has {len(value)} characters", f"at most {context['max_length']}", ""
        case "literal_error":
            choices = [choice.strip("'") for choice in str(context["expected"]).replace(" or ", ", ").split(", ")]
            return f"{name} is {quoted(value)}", f"it is one of {listed(choices)}", close(str(value), choices)
        case "value_error":
            return str(context["error"]), "", ""
        case "action_kind":
            why = "an action is {node: command}, or begins with " + listed(ACTION_WORDS[:-1])
            return f"{name} is {quoted(value)}", why, ""
        case "seen_kind":
            why = "an observation begins with " + listed(OBSERVATION_WORDS)
            return _no_kind(name, value), why, _meant_word(value)
    return f"{name} is {quoted(value)}", message, ""


def _no_kind(name: str, value: Any) -> str:
    return f"no observation has {listed(f'`{key}`' for key in value)}" if isinstance(value, dict) and value else f"{name} is no observation"


def _meant_word(value: Any) -> str:
    guesses = [close(str(key), OBSERVATION_WORDS) for key in value] if isinstance(value, dict) else []
    return next((guess for guess in guesses if guess), "")


def _wanted(kind: str, value: Any) -> str:
    wanted = WANTED[kind]
    quotes = isinstance(value, str) and not isinstance(value, Plain) and kind.startswith(("int", "bool"))
    if quotes and (value.lstrip("+-").isdigit() or value in ("true", "false")):
        return wanted + ", without quotes"
    return wanted


def _name(found: Path) -> str:
    if not found:
        return "the file"
    last = found[-1]
    keys = [step for step in found if isinstance(step, str)]
    return f"`{last}`" if isinstance(last, str) else f"item {last + 1} of `{keys[-1] if keys else 'the file'}`"


def _classes(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _classes(part)]


def _owner(model: type[BaseModel], place: Path) -> type[BaseModel]:
    """The class that the mapping at `place` is read as."""
    here = [model]
    for step in place:
        named = [one for one in here if one.__name__ == step]
        inside = [
            one for cls in here for key, field in cls.model_fields.items() if step in (key, _written(key, field)) for one in _field(field)
        ]
        here = named or inside or here
    return here[0]


def _written(key: str, field: FieldInfo) -> str:
    """How the field is called in a file."""
    alias = field.validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else field.alias or key


def _field(field: FieldInfo) -> list[type[BaseModel]]:
    return _classes(field.annotation)


def _description(model: type[BaseModel], place: Path) -> str:
    fields = _owner(model, place[:-1]).model_fields.items()
    return next((field.description or "" for key, field in fields if _written(key, field) == place[-1]), "")

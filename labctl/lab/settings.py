"""Settings of roles: read by the role's own JSON Schema, defaults filled in, what does not fit told in an author's words.

Owns the rule for scalars that were typed without quotes: a setting for text gets what was typed (`1.10`), one for a number its
value; where both fit, the value if it says all that was typed. Also `change_settings`, the pure half of `labctl set`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from labctl.errors import Fault, LoadError, UsageError
from labctl.lab.digest import with_digest
from labctl.lab.topology import Interface, Lab, Node
from labctl.lab.tree import Path, Plain
from labctl.lab.words import meant, quoted
from labctl.lab.yaml12 import parse_yaml

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError


@dataclass(frozen=True)
class Problem:
    """What is wrong with a setting; `path` leads to it within the settings."""

    path: Path
    what: str
    why: str = ""
    hint: str = ""
    on_key: bool = False


def schema_of(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Schema of settings whose properties a role gives."""
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}


def read_settings(properties: Mapping[str, Any], given: Mapping[str, Any], owner: str) -> tuple[dict[str, Any], list[Problem]]:
    """`given` with every scalar read as the schema wants it, and what is wrong; unknown and wrong keys are left out."""
    if not given:
        return {}, []
    from jsonschema import Draft202012Validator  # 0.1 s, and few labs need it

    unknown = [
        Problem((key,), f"no setting `{key}` in {owner}", "", meant(key, properties), True) for key in given if key not in properties
    ]
    known = {key: value for key, value in given.items() if key in properties}
    validator = Draft202012Validator(schema_of(properties))
    values, errors = _typed(known, validator)
    problems = unknown + [_problem(error) for error in errors]
    wrong = {problem.path[0] for problem in problems if problem.path}
    return {key: value for key, value in values.items() if key not in wrong}, problems


def defaults(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {key: schema["default"] for key, schema in properties.items() if isinstance(schema, dict) and "default" in schema}


def filled(properties: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with the defaults of the schema, also inside mappings and lists that are given."""
    out = {**defaults(properties), **values}
    return {key: _filled_inside(properties.get(key), value) for key, value in out.items()}


def _filled_inside(schema: Any, value: Any) -> Any:
    if not isinstance(schema, dict):
        return value
    if isinstance(value, dict) and isinstance(schema.get("properties"), dict):
        return filled(schema["properties"], value)
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [_filled_inside(schema["items"], item) for item in value]
    return value


# --- scalars ---------------------------------------------------------------------------------------------------------------


def _typed(given: dict[str, Any], validator: "Draft202012Validator") -> tuple[Any, list["ValidationError"]]:
    """First every scalar as it is likely meant; then those that do not fit the other way, where that helps."""
    flipped: frozenset[Path] = frozenset()
    errors = list(validator.iter_errors(_read(given, flipped)))
    if doubtful := _scalars_at(given, errors):
        errors_after = list(validator.iter_errors(_read(given, doubtful)))
        flipped = doubtful - _scalars_at(given, errors_after)
        errors = list(validator.iter_errors(_read(given, flipped)))
    return _read(given, flipped), errors


def _read(data: Any, flipped: frozenset[Path], path: Path = ()) -> Any:
    if isinstance(data, Plain):
        return data.value if data.lossless != (path in flipped) else str(data)
    if isinstance(data, Mapping):
        return {key: _read(value, flipped, (*path, key)) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_read(value, flipped, (*path, number)) for number, value in enumerate(data)]
    return data


def _scalars_at(data: Any, errors: list["ValidationError"]) -> frozenset[Path]:
    """The unquoted scalars that errors point at."""
    places = {place for error in errors for place in _places(error)}
    return frozenset(path for path in _plain_paths(data) if path in places)


def _places(error: "ValidationError") -> Iterator[Path]:
    if not error.context:
        yield tuple(error.absolute_path)
    for inner in error.context or ():
        yield from _places(inner)


def _plain_paths(data: Any, path: Path = ()) -> Iterator[Path]:
    if isinstance(data, Plain):
        yield path
    elif isinstance(data, Mapping):
        for key, value in data.items():
            yield from _plain_paths(value, (*path, key))
    elif isinstance(data, list | tuple):
        for number, value in enumerate(data):
            yield from _plain_paths(value, (*path, number))


# --- messages --------------------------------------------------------------------------------------------------------------

_TYPES = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}


def _problem(error: "ValidationError") -> Problem:
    path: Path = tuple(error.absolute_path)
    last = path[-1] if path else "settings"
    name = f"`{last}`" if isinstance(last, str) else f"item {last + 1} of `{path[-2]}`"
    value: Any = error.instance
    limit: Any = error.validator_value
    match error.validator:
        case "type":
            kinds = [limit] if isinstance(limit, str) else list(limit)
            return Problem(path, f"{name} is {quoted(value)}", " or ".join(_TYPES[kind] for kind in kinds) + " is wanted")
        case "enum":
            return Problem(path, f"{name} is {quoted(value)}", "", meant(str(value), [str(choice) for choice in limit]))
        case "minimum" | "maximum":
            return Problem(path, f"{name} is {value}", f"at {'least' if error.validator == 'minimum' else 'most'} {limit}")
        case "additionalProperties":
            known = list(error.schema.get("properties", ())) if isinstance(error.schema, dict) else []
            extra = next(key for key in value if key not in known)
            return Problem((*path, extra), f"no `{extra}` in {name}", "", meant(extra, known), True)
        case "required":
            missing = next((key for key in limit if key not in value), limit[0])
            return Problem(path, f"`{missing}` is missing in {name}")
        case "pattern":
            return Problem(path, f"{name} is {quoted(value)}", f"it must match {limit}")
        case "anyOf" | "oneOf":
            return Problem(path, f"{name} is {quoted(value)}", _choices(error))
    return Problem(path, f"{name} is {quoted(value)}", error.message[:200])


def _choices(error: "ValidationError") -> str:
    """What the branches wanted of this very value, in a line."""
    here = [_problem(inner) for inner in error.context or () if not list(inner.relative_path)]
    wanted = list(dict.fromkeys((inner.why or inner.hint) for inner in here if inner.why or inner.hint))
    deeper = [_problem(inner) for inner in error.context or () if list(inner.relative_path)]
    return "; or ".join(wanted) if wanted and not deeper else "; ".join(f"{one.what}: {one.why or one.hint}" for one in deeper[:2])


# --- the running lab -------------------------------------------------------------------------------------------------------


def split_ports(changes: Mapping[str, Any], properties: Mapping[str, Any], ports: set[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Changes of the node's own settings, and of its ports': a key that is no setting but a port holds that port's."""
    at_ports = {key: value for key, value in changes.items() if key in ports and key not in properties}
    return {key: value for key, value in changes.items() if key not in at_ports}, at_ports


def change_settings(lab: Lab, node: str, changes: Mapping[str, Any]) -> Lab:
    """`lab` with settings of one node changed: `{"learning": True}`, or of a port: `{"port2": {"vlan": 20}}`.

    Text that reads as a number or truth value may be given as Plain (see `parse_changes`). LoadError with every fault; UsageError
    where there is no such node.
    """
    old = next((one for one in lab.nodes if one.name == node), None)
    if old is None:
        raise UsageError(f"no node `{node}` in {lab.name}", hint=meant(node, [one.name for one in lab.nodes]))
    new, problems = changed_node(old, changes)
    if problems:
        faults = tuple(Fault(f"set {node}", 0, 0, one.what, one.why, one.hint) for one in problems)
        raise LoadError(faults[0].what, why=faults[0].why, hint=faults[0].hint, faults=faults)
    return with_digest(replace(lab, nodes=tuple(new if one.name == node else one for one in lab.nodes)))


def kept_changes(known: Mapping[str, Any], changes: Mapping[str, Any], node: Node) -> dict[str, Any]:
    """`known` changes of a node's settings with `changes` on top, as JSON can hold them: with the values that `node` has since."""
    mine, at_ports = split_ports(changes, node.role.file.settings, {port.name for port in node.nics})
    out = {**known, **{key: node.settings[key] for key in mine}}
    for port, words in at_ports.items():
        settings = node.interface(port).settings
        out[port] = {**out.get(port, {}), **{key: settings[key] for key in words}}
    return out


def changed_node(node: Node, changes: Mapping[str, Any]) -> tuple[Node, list[Problem]]:
    """`node` with the changes that fit, and what does not fit. A value that is given takes the place of the old one whole."""
    role = node.role
    mine, at_ports = split_ports(changes, role.file.settings, {port.name for port in node.nics})
    values, problems = read_settings(role.file.settings, mine, f"role {role.name}")
    interfaces = []
    for port in node.interfaces:
        changed, more = _changed_port(port, at_ports.get(port.name), node)
        interfaces.append(changed)
        problems += more
    settings = filled(role.file.settings, {**node.settings, **values})
    return replace(node, settings=settings, interfaces=tuple(interfaces)), problems


def _changed_port(port: Interface, changes: Any, node: Node) -> tuple[Interface, list[Problem]]:
    if changes is None:
        return port, []
    if not isinstance(changes, Mapping):
        return port, [Problem((port.name,), f"`{port.name}` is {quoted(changes)}", "a mapping is wanted")]
    properties = node.role.file.port_settings
    values, problems = read_settings(properties, changes, f"a port of role {node.role.name}")
    settings = filled(properties, {**port.settings, **values})
    below = [replace(one, path=(port.name, *one.path)) for one in problems]
    return replace(port, settings=settings), below


def parse_changes(words: Mapping[str, str]) -> dict[str, Any]:
    """`key=value` of a command line: each value is YAML in one line, so `[a, b]` and `{port: 80}` work as in a lab file.

    A dotted key reaches inside: `port2.vlan` is the setting `vlan` of port2. `UsageError` for what is no YAML, or does not go together.
    """
    out: dict[str, Any] = {}
    for key, text in words.items():
        tree, faults = parse_yaml(f"value: {text}".encode(), key)
        if tree is None or faults:
            fault = faults[0]
            raise UsageError(f"{key}={text}: {fault.what}", why=fault.why, hint=fault.hint)
        _put(out, key.split("."), tree.data()["value"])
    return out


def _put(out: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        inner = out.setdefault(key, {})
        if not isinstance(inner, dict):
            inside = ".".join(keys)
            raise UsageError(f"{key}=… and {inside}=… do not go together", why=f"{key} is one value", hint=f"leave {key}=… away")
        out = inner
    out[keys[-1]] = value

"""The lab file's JSON Schema (draft 2020-12), made from the model and the shipped roles: for editors, and for `docs/lab.schema.json`.

It accepts the short forms, and whatever YAML makes of a text without quotes (an editor reads `0644` as a number; the loader gives
the text back). It cannot say what only the whole file shows: that nodes exist, that addresses fit. `labctl validate` does.
"""

import re
from typing import Any

from labctl.lab.load_role import load_role, role_names
from labctl.lab.model import LabFile, NodeEntry
from labctl.lab.roles import Role

VERBATIM = ("default", "enum", "const", "required")
DRAFT = "https://json-schema.org/draft/2020-12/schema"


def lab_schema() -> dict[str, Any]:
    """The whole schema, shipped roles' settings included."""
    schema = relaxed(LabFile.model_json_schema(mode="validation"))
    node = schema["$defs"]["NodeEntry"]
    node["allOf"] = [_for_role(role) for role in shipped_roles()]
    return {"$schema": DRAFT, **schema, "title": "labctl lab file"}


def shipped_roles() -> list[Role]:
    return [load_role(name, None) for name in role_names(None)]


def _for_role(role: Role) -> dict[str, Any]:
    """What a node may say if it has this role."""
    names = [*NodeEntry.model_fields, *role.file.settings]
    settings = {key: relaxed(schema) for key, schema in role.file.settings.items()}
    return {
        "if": {"properties": {"role": {"const": role.name}}, "required": ["role"]},
        "then": {"properties": settings, "propertyNames": {"enum": names}},
    }


def relaxed(schema: Any) -> Any:
    """The schema as an editor needs it: bounds in its own words, no `null` for what may be left out, free texts open to what an
    unquoted word may be read as (a number, a truth value)."""
    if isinstance(schema, list):
        return [relaxed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: value if key in VERBATIM else relaxed(value) for key, value in schema.items()}
    if isinstance(out.get("title"), str):
        del out["title"]  # made of the key's name: says nothing
    for ours, theirs in (("ge", "minimum"), ("le", "maximum")):
        if isinstance(out.get(ours), int):
            out[theirs] = out.pop(ours)
    return _open_text(_named_keys(_without_null(out)))


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    choices = schema.get("anyOf")
    if not isinstance(choices, list) or {"type": "null"} not in choices:
        return schema
    rest = [choice for choice in choices if choice != {"type": "null"}]
    out = {key: value for key, value in schema.items() if key != "anyOf" and not (key == "default" and value is None)}
    return {**rest[0], **out} if len(rest) == 1 else {"anyOf": rest, **out}


def _named_keys(schema: dict[str, Any]) -> dict[str, Any]:
    """Keys with a pattern: no others."""
    closed = isinstance(schema.get("patternProperties"), dict) and "additionalProperties" not in schema and schema.get("type") == "object"
    return {**schema, "additionalProperties": False} if closed else schema


def _open_text(schema: dict[str, Any]) -> dict[str, Any]:
    pattern = schema.get("pattern", "")
    free = schema.get("type") == "string" and "enum" not in schema and "const" not in schema
    return {**schema, "type": ["string", "number", "boolean"]} if free and re.match(pattern, "0644") else schema

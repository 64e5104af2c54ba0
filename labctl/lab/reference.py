"""The reference page of the lab file, made from the model, its JSON Schema and the shipped roles: nothing is told twice.

Owns the page's order and the words for types. `labctl/lab/docs.py` writes it to `docs/lab-schema.md`.
"""

import json
from collections.abc import Iterator
from typing import Any

from labctl.lab.observations import Seen, TextExpectations
from labctl.lab.roles import Role
from labctl.lab.schema import lab_schema, relaxed, shipped_roles

SECTIONS = (
    ("The file", ("LabFile",)),
    ("Nodes", ("NodeEntry", "RouteEntry", "FileEntry", "UnpackEntry")),
    ("Links", ("LinkEntry",)),
    ("Checks", ("Check", "Sabotage")),
    ("Scenarios", ("ScenarioEntry", "PingProbe", "HttpProbe", "Moment")),
    ("Actions", ("RunCommand", "StartCommand", "SetSettings", "CutLink", "RestoreLink", "ImpairLink", "ClearLink", "MoveLink", "Power")),
    (
        "Observations",
        (
            "Seen",
            "RunSeen",
            "OutputSeen",
            "TextExpectations",
            "WireSeen",
            "ReachSeen",
            "RouteSeen",
            "NeighbourSeen",
            "PathSeen",
            "ProbeSeen",
        ),
    ),
    ("Values", ("Text", "Between", "Distinct")),
)
CALLED = {
    "LabFile": "lab.yaml",
    "NodeEntry": "node",
    "RouteEntry": "static route",
    "FileEntry": "file",
    "UnpackEntry": "packages of another architecture",
    "LinkEntry": "link",
    "Check": "check",
    "Sabotage": "sabotage",
    "RunCommand": "command on a node",
    "StartCommand": "command in the background",
    "CommandShort": "command on a node",
    "SetSettings": "set",
    "CutLink": "cut",
    "RestoreLink": "restore",
    "ImpairLink": "impair",
    "ClearLink": "clear",
    "MoveLink": "move",
    "Power": "power",
    "Seen": "every observation",
    "RunSeen": "see a command",
    "OutputSeen": "see an output",
    "TextExpectations": "expected of a text",
    "WireSeen": "see a wire",
    "ReachSeen": "see who is reached",
    "RouteSeen": "see a route",
    "NeighbourSeen": "see a neighbour",
    "PathSeen": "see a path",
    "ProbeSeen": "see a probe",
    "ScenarioEntry": "scenario",
    "PingProbe": "ping probe",
    "HttpProbe": "HTTP probe",
    "Moment": "moment",
    "MomentShort": "moment",
    "Text": "text in languages",
    "Between": "count within bounds",
    "Distinct": "number of different values",
}
GROUPS = {"ActionShort": "action", **{name: "observation" for name in SECTIONS[6][1]}}
ABOUT = {
    "Actions": """One vocabulary for `before`, `do`, `after`, `sabotage`, `undo` and `solution`. `{pc1: ping -c 1 10.0.0.2}` runs a
command on a node; several nodes in one action act at the same time; a range (`r1..r2: …`) may stand where a node stands as a key.
A single action may stand where a list may.""",
    "Observations": """The items of `see` and `ready`; the first key tells which it is. `wire` and `output` need a `do`, so they stand
in checks only. What would be true of a lab where nothing happens is an absence, and needs a `witness: true` beside it.""",
    "Values": """Read by the core rules of YAML 1.2. A text is what was typed (`1.10`, `on`, `010`, `52:54:00:12:34:56`), with quotes
or without; quotes are needed where YAML has a use for a character: `: `, ` #`, at the beginning `*&!%@[{>|'"` and the accent grave,
and commas and brackets inside `{ }`.""",
}
INTRODUCTION = """# The lab file

Made from the model by `make docs`; do not edit. The same as a JSON Schema, for editors: `lab.schema.json`. In an editor with a YAML
language server the first line of a lab file may be `# yaml-language-server: $schema=…/lab.schema.json`.

`labctl validate LAB` tells every mistake of a file at once, each with line and column. What it checks beyond this page: links and
checks name nodes and interfaces that exist, no interface has two cables, addresses fit their subnets and stand once on a segment, an
absence has a witness, a task has a solution.
"""


def reference_markdown() -> str:
    """The whole page."""
    schema = lab_schema()
    definitions = {**schema["$defs"], "LabFile": schema}
    for shared in (Seen, TextExpectations):
        definitions[shared.__name__] = relaxed(shared.model_json_schema())
    parts = [INTRODUCTION]
    for title, names in SECTIONS:
        parts.append(f"## {title}\n")
        if title in ABOUT:
            parts.append(ABOUT[title] + "\n")
        parts.extend(_class(name, definitions[name]) for name in names)
    parts.append("## Roles\n")
    parts.append(
        "Settings of a role stand among the keys of its node, those of a port on its link. A lab's own roles lie in its `roles/`.\n"
    )
    parts.extend(_role(role) for role in shipped_roles())
    return "\n".join(parts)


def _class(name: str, schema: dict[str, Any]) -> str:
    """A section; what several observations share has a section of its own."""
    required = schema.get("required", [])
    elsewhere = set(Seen.model_fields) if name != "Seen" else set()
    if name in ("RunSeen", "OutputSeen"):
        elsewhere |= {field.alias or key for key, field in TextExpectations.model_fields.items()}
    own = {key: value for key, value in schema["properties"].items() if name not in GROUPS or key not in elsewhere}
    rows = [_row(key, value, key in required) for key, value in own.items()]
    return f"### {CALLED[name]}\n\n{schema['description']}\n\n" + _table(rows)


def _role(role: Role) -> str:
    title = role.file.title
    head = f"### role `{role.name}`\n\n{title.en} ({title.ja}). Memory {role.file.memory}, CPUs {role.file.cpus}."
    tables = [
        f"\n\n{caption}\n\n" + _table([_row(key, value, False) for key, value in settings.items()])
        for caption, settings in (("Settings:", role.file.settings), ("Settings of a port:", role.file.port_settings))
        if settings
    ]
    return head + ("".join(tables).rstrip("\n") + "\n" if tables else "\n")


def _row(key: str, schema: dict[str, Any], required: bool) -> tuple[str, str, str, str]:
    default = schema.get("default")
    shown = "required" if required else "" if default in (None, "", [], {}, {"en": "", "ja": ""}) else f"`{_plain(default)}`"
    return f"`{key}`", words_for(schema), shown, schema.get("description", "")


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _table(rows: list[tuple[str, str, str, str]]) -> str:
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def words_for(schema: dict[str, Any]) -> str:
    """A schema's kind of value in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        title = GROUPS.get(name) or CALLED[name]
        anchor = f"{title}s" if name in GROUPS else title.replace(" ", "-")
        return f"[{title}](#{anchor})"
    if "enum" in schema:
        return " or ".join(f"`{_plain(choice)}`" for choice in schema["enum"])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(words_for(choice) for choice in schema[several]))
    return " ".join(_by_type(schema))


def _by_type(schema: dict[str, Any]) -> Iterator[str]:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "array":
        yield "list of"
        yield words_for(schema.get("items", {}))
    elif kind == "object":
        inner = next(iter(schema.get("patternProperties", {}).values()), schema.get("additionalProperties"))
        yield "mapping to" if isinstance(inner, dict) else "mapping"
        if isinstance(inner, dict):
            yield words_for(inner)
    elif kind in ("integer", "number"):
        yield "number"
        if bounds := [f"{word} {schema[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in schema]:
            yield " ".join(bounds)
    else:
        yield {"string": "text", "boolean": "`true` or `false`", None: "anything"}.get(kind, str(kind))

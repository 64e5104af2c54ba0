"""The nodes of a lab file, one by one: names and ranges, roles, sizes, settings, files. The first step from file to Lab.

Owns DraftNode: what is known of a node before its interfaces are. A node whose entry is wrong keeps its name, so that what refers to
it is not called unknown.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labctl.errors import LoadError, UsageError
from labctl.lab.addresses import MAX_NODES
from labctl.lab.faults import Faults
from labctl.lab.load_files import check_target, check_text, read_inside
from labctl.lab.load_role import load_role
from labctl.lab.model import LabFile, NodeEntry
from labctl.lab.roles import Role
from labctl.lab.settings import filled, read_settings, split_ports
from labctl.lab.topology import NodeFile
from labctl.lab.tree import Path as TreePath
from labctl.lab.values import NAME, WORDS_FOR
from labctl.lab.words import RESERVED, expand, is_range, meant

LEAST_MIB, MOST_MIB = 64, 64 * 1024
MOST_CONTENT = 64 * 1024 * 1024


@dataclass
class DraftNode:
    """A node so far. `entry` or `role` is None where the file is wrong about it.

    `ports` are settings that the chosen variant gives to ports, `port_places` where any variant names one.
    """

    name: str
    index: int
    path: TreePath
    entry: NodeEntry | None
    role: Role | None
    settings: dict[str, Any] = field(default_factory=dict)
    ports: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    files: tuple[NodeFile, ...] = ()
    port_places: list[TreePath] = field(default_factory=list)

    @property
    def memory_mib(self) -> int:
        assert self.entry
        assert self.role
        return parse_mib(self.entry.memory or self.role.file.memory)

    @property
    def cpus(self) -> int:
        assert self.entry
        assert self.role
        return self.entry.cpus or self.role.file.cpus


def parse_mib(text: str) -> int:
    """`512MiB`, `2GiB` → MiB."""
    return int(text[:-3]) * (1024 if text.endswith("GiB") else 1)


def draft_nodes(file: LabFile, keys: list[str], directory: Path, faults: Faults) -> dict[str, DraftNode]:
    """All nodes by name, in the order of the file; `keys` are the file's own, those with wrong entries too."""
    nodes: dict[str, DraftNode] = {}
    roles = _Roles(directory, faults)
    for key in keys:
        entry = file.nodes.get(key)
        role = roles.of(key, entry) if entry else None
        settings, files = _draft(key, entry, role, directory, faults)
        for name in _names(key, faults):
            if name in nodes:
                faults.add(("nodes", key), f"node `{name}` stands here twice", f"first as `{nodes[name].path[-1]}`", key=True)
            elif len(nodes) == MAX_NODES:
                faults.add(("nodes", key), f"more than {MAX_NODES} nodes", "a lab has at most that many", key=True)
                return nodes
            else:
                nodes[name] = DraftNode(name, len(nodes), ("nodes", key), entry, role, settings, files=files)
    return nodes


def _names(key: str, faults: Faults) -> tuple[str, ...]:
    try:
        names = expand(key)
    except ValueError as error:
        faults.add(("nodes", key), str(error), key=True)
        return ()
    if bad := [name for name in names if not re.fullmatch(NAME[1:-1], name)]:
        what = f"node name `{key}`" if not is_range(key) else f"range `{key}`: node name `{bad[0]}`"
        faults.add(("nodes", key), what if key else "a node without a name", WORDS_FOR[NAME], key=True)
        return ()
    if taken := [name for name in names if name in RESERVED]:
        why = "it is a word of the lab file or has a meaning in every machine"
        faults.add(("nodes", key), f"no node can be called `{taken[0]}`", why, key=True)
        return ()
    return names


class _Roles:
    """Loads each role once, and tells its faults once."""

    def __init__(self, directory: Path, faults: Faults) -> None:
        self.directory = directory
        self.faults = faults
        self.known: dict[str, Role | None] = {}

    def of(self, key: str, entry: NodeEntry) -> Role | None:
        try:
            if entry.role not in self.known:
                self.known[entry.role] = None
                self.known[entry.role] = load_role(entry.role, self.directory)
        except LoadError as error:
            self.faults.take(error.faults)
        except UsageError as error:
            del self.known[entry.role]
            self.faults.add(("nodes", key, "role"), error.what, error.why, error.hint)
        return self.known.get(entry.role)


def _draft(
    key: str, entry: NodeEntry | None, role: Role | None, directory: Path, faults: Faults
) -> tuple[dict[str, Any], tuple[NodeFile, ...]]:
    """Settings and files of an entry, the same for all nodes of a range."""
    if entry is None:
        return {}, ()
    path = ("nodes", key)
    _check_size(entry, role, path, faults)
    return (_settings(entry, role, path, faults) if role else {}), tuple(_files(entry, path, directory, faults))


def _check_size(entry: NodeEntry, role: Role | None, path: TreePath, faults: Faults) -> None:
    memory = entry.memory or (role.file.memory if role else "256MiB")
    if not re.fullmatch(r"[0-9]{1,12}(MiB|GiB)", memory) or not LEAST_MIB <= parse_mib(memory) <= MOST_MIB:
        faults.add((*path, "memory"), f"memory is `{memory}`", f"a node has {LEAST_MIB}MiB to {MOST_MIB // 1024}GiB")


def _settings(entry: NodeEntry, role: Role, path: TreePath, faults: Faults) -> dict[str, Any]:
    values, problems = read_settings(role.file.settings, entry.model_extra or {}, f"role {role.name}")
    fields = list(NodeEntry.model_fields)
    for one in problems:
        unknown = len(one.path) == 1 and one.on_key
        hint = meant(str(one.path[0]), [*role.file.settings, *fields]) if unknown else one.hint
        faults.add((*path, *one.path), one.what, one.why, hint, key=one.on_key)
    return filled(role.file.settings, values)


def _files(entry: NodeEntry, path: TreePath, directory: Path, faults: Faults) -> list[NodeFile]:
    made, total = [], 0
    for target, file in entry.files.items():
        here = (*path, "files", target)
        try:
            if (file.content is None) == (file.source is None):
                raise ValueError("a file has `content` or `source`, one of them")
            content = file.content.encode() if file.content is not None else read_inside(directory, str(file.source))
            if file.template:
                check_text(content, target)
            made.append(NodeFile(check_target(target), content, int(file.mode, 8), file.template))
            total += len(content)
        except ValueError as error:
            faults.add((*here, "source") if file.source else here, str(error))
    if total > MOST_CONTENT:
        faults.add((*path, "files"), f"the node's files have {total:,} bytes", f"at most {MOST_CONTENT:,}", key=True)
    return made


def apply_variants(file: LabFile, nodes: dict[str, DraftNode], variant: str, faults: Faults) -> None:
    """Judges the settings of every variant, and puts those of `variant` over the nodes' own."""
    for name, changes in file.variants.items():
        if name == "default":
            faults.add(("variants", name), "no variant can be called `default`", "that is the lab without any", key=True)
        for node, settings in changes.items():
            path = ("variants", name, node)
            if node not in nodes:
                faults.add(path, f"no node `{node}`", "", meant(node, nodes), key=True)
            elif nodes[node].role:
                _vary(nodes[node], settings, path, faults, chosen=name == variant)


def _vary(node: DraftNode, settings: Mapping[str, Any], path: TreePath, faults: Faults, *, chosen: bool) -> None:
    assert node.role
    for key in settings.keys() & NodeEntry.model_fields.keys():
        faults.add((*path, key), f"`{key}` cannot differ between variants", "a variant changes settings of roles", key=True)
    rest = {key: value for key, value in settings.items() if key not in NodeEntry.model_fields}
    properties = node.role.file.settings
    at_ports = {key for key, value in rest.items() if isinstance(value, Mapping) and key not in properties}
    mine, ports = split_ports(rest, properties, at_ports)
    values, problems = read_settings(properties, mine, f"role {node.role.name}")
    for one in problems:
        faults.add((*path, *one.path), one.what, one.why, one.hint, key=one.on_key)
    node.port_places += [(*path, port) for port in ports]
    for port, given in ports.items():
        _, more = read_settings(node.role.file.port_settings, given, f"a port of role {node.role.name}")
        for one in more:
            faults.add((*path, port, *one.path), one.what, one.why, one.hint, key=one.on_key)
    if chosen:
        node.settings = filled(properties, {**node.settings, **values})
        node.ports = ports

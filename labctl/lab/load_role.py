"""Reads roles: `role.yaml` and the files beside it, from the lab's own `roles/` first, then the shipped ones.

Owns what must be true of a role's directory: its schemas are JSON Schemas, its templates and scripts exist. Shared macros
(`templates/roles/_shared/`) travel with each role under that name.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

from labctl.errors import Fault, UsageError
from labctl.lab import data
from labctl.lab.faults import Faults, load_error, shown
from labctl.lab.load_files import read_inside, read_texts
from labctl.lab.read_model import read_model
from labctl.lab.roles import Role, RoleFile
from labctl.lab.settings import schema_of
from labctl.lab.tree import Tree, core
from labctl.lab.words import meant
from labctl.lab.yaml12 import parse_yaml

SHARED = "_shared"


def role_names(lab_directory: Path | None) -> tuple[str, ...]:
    """All roles that a lab in this directory can name, its own first."""
    places = [data.ROLES] if lab_directory is None else [lab_directory / "roles", data.ROLES]
    found = [path.parent.name for place in places for path in sorted(place.glob("*/role.yaml"))]
    return tuple(dict.fromkeys(found))


def load_role(name: str, lab_directory: Path | None) -> Role:
    """The role `name`: UsageError where there is none, LoadError with every fault of its files."""
    if lab_directory is not None and name in _names_in(lab_directory / "roles"):
        return _read_role(lab_directory, f"roles/{name}")
    if name in _names_in(data.ROLES):
        return _shipped_role(name, data.ROLES)
    raise UsageError(f"no role `{name}`", hint=meant(name, role_names(lab_directory)))


def _names_in(place: Path) -> set[str]:
    return {path.parent.name for path in place.glob("*/role.yaml")}


@lru_cache(maxsize=64)
def _shipped_role(name: str, roles: Path) -> Role:
    return _read_role(roles, name)


def _read_role(root: Path, below: str) -> Role:
    """The role in the directory `below` of `root`, which nothing of it may leave."""
    name, directory = Path(below).name, root / below
    file = shown(directory / "role.yaml")
    try:
        tree, faults = parse_yaml(read_inside(root, f"{below}/role.yaml"), file)
        texts = read_texts(root, below) | _shared_texts()
    except ValueError as error:
        raise load_error(file, [Fault(file, 0, 0, f"role {name} cannot be read", str(error))]) from None
    if tree is None:
        raise load_error(file, faults)
    gathered = Faults(file, tree)
    gathered.take(faults)
    role = _read_file(gathered, shipped=root == data.ROLES)
    _check_texts(role, texts, gathered)
    gathered.raise_any()
    texts.pop("role.yaml", None)
    return Role(name, directory, role, texts)


def _shared_texts() -> dict[str, str]:
    return read_texts(data.ROLES, SHARED, f"{SHARED}/") if (data.ROLES / SHARED).is_dir() else {}


def _read_file(faults: Faults, *, shipped: bool) -> RoleFile:
    """The schemas of roles that labctl brings were checked by its tests."""
    for key in ("settings", "port_settings"):
        found = faults.tree.child(key)
        if found and isinstance(found[1].value, dict) and found[1].value and not shipped:
            _check_schema(key, core(found[1].data()), faults)
    file = read_model(RoleFile, faults, {"title": Tree({"en": Tree("", 0, 0)}, 0, 0), "kind": Tree("host", 0, 0)})
    if file is None:
        raise load_error(faults.file, faults.all)
    return file.model_copy(update={"settings": core(file.settings), "port_settings": core(file.port_settings)})


def _check_schema(key: str, properties: dict[str, Any], faults: Faults) -> None:
    from jsonschema import Draft202012Validator  # 0.1 s, and few labs need it
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(schema_of(properties))
    except SchemaError as error:
        path = tuple(error.absolute_path)[1:]  # less `properties` of the whole
        faults.add((key, *path), f"`{key}` is no JSON Schema", error.message[:200])
        return
    for name, schema in properties.items():
        if isinstance(schema, dict) and "default" in schema and not Draft202012Validator(schema).is_valid(schema["default"]):
            faults.add((key, name, "default"), f"the default of `{name}` is not what its own schema wants")


def _check_texts(role: RoleFile, texts: dict[str, str], faults: Faults) -> None:
    wanted = [(("templates", number, "template"), entry.template) for number, entry in enumerate(role.templates)]
    scripts = [((key,), name) for key, name in (("apply", role.apply), ("renew", role.renew)) if name is not None]
    for path, name in (*wanted, *scripts):
        if name not in texts:
            faults.add(path, f"no file `{name}` beside role.yaml", "", meant(name, texts))

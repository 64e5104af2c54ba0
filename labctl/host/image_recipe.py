"""What an image layer is made of, and the digest that finds it again. Pure.

    BaseRecipe ← PackageRecipe ← UnpackRecipe ← MachineRecipe
    Debian ← packages of a role or node ← packages of another architecture ← a node's own files and commands

A digest is the SHA-256 of the recipe as canonical JSON, the parent's digest within it. A base carries the moment it was made
(`made`), since the package lists of that moment are part of it; `undated_digest` leaves it out, to find a base of any age.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labctl.errors import StepError

FORMAT = 2  # a change of how layers are built raises it, and so makes all digests new
READABLE = (1, FORMAT)  # 1: machines of earlier versions may run on these still; nothing new is put on them
DISK_MIB = 6144  # virtual size; the file holds only what is written


def digest_of(data: Mapping[str, Any]) -> str:
    """SHA-256 of `data` as canonical JSON."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()).hexdigest()


class _Recipe:
    """What all recipes answer."""

    def as_data(self) -> dict[str, Any]:
        raise NotImplementedError

    @property
    def digest(self) -> str:
        return digest_of(self.as_data())


@dataclass(frozen=True)
class BaseRecipe(_Recipe):
    """The base image. `content` is the digest of all files in templates/base; `made` a UTC time like 2025-01-31T12:00:00Z."""

    suite: str
    packages: tuple[str, ...]
    content: str
    made: str

    @property
    def undated_digest(self) -> str:
        return digest_of({**self.as_data(), "made": ""})

    @property
    def title(self) -> str:
        return f"base: Debian {self.suite}"

    def as_data(self) -> dict[str, Any]:
        return {
            "kind": "base", "format": FORMAT, "suite": self.suite, "packages": list(self.packages),
            "content": self.content, "disk_mib": DISK_MIB, "made": self.made,
        }  # fmt: skip


@dataclass(frozen=True)
class PackageRecipe(_Recipe):
    """Debian packages on top of the layer `parent` (a digest). The order of `packages` does not matter."""

    parent: str
    packages: tuple[str, ...]

    @property
    def title(self) -> str:
        return f"packages: {' '.join(sorted(self.packages))}"

    def as_data(self) -> dict[str, Any]:
        return {"kind": "packages", "format": FORMAT, "parent": self.parent, "packages": sorted(set(self.packages))}


@dataclass(frozen=True)
class UnpackRecipe(_Recipe):
    """Debian packages of `architecture` and all they depend on, unpacked in `directory` of the layer `parent`; nothing of them is run."""

    parent: str
    directory: str
    architecture: str
    packages: tuple[str, ...]

    @property
    def title(self) -> str:
        return title_of(self.as_data())

    def as_data(self) -> dict[str, Any]:
        return {
            "kind": "unpack", "format": FORMAT, "parent": self.parent, "directory": self.directory, "architecture": self.architecture,
            "packages": sorted(set(self.packages)),
        }  # fmt: skip


@dataclass(frozen=True)
class LayerFile:
    """A file that a layer puts into the node: absolute path, final bytes, mode like 0o644."""

    path: str
    content: bytes
    mode: int


@dataclass(frozen=True)
class MachineRecipe(_Recipe):
    """A node's own files, then its commands in order, carried out in a machine without network on top of the layer `parent`."""

    parent: str
    files: tuple[LayerFile, ...]
    run: tuple[str, ...]

    @property
    def title(self) -> str:
        return f"a node's own: {len(self.files)} files, {len(self.run)} commands"

    def as_data(self) -> dict[str, Any]:
        files = [[file.path, f"{file.mode:04o}", hashlib.sha256(file.content).hexdigest()] for file in self.files]
        return {"kind": "machine", "format": FORMAT, "parent": self.parent, "files": sorted(files), "run": list(self.run)}


NodeRecipe = PackageRecipe | UnpackRecipe | MachineRecipe  # what lies above a base
LayerRecipe = BaseRecipe | NodeRecipe


def parent_of(data: Mapping[str, Any]) -> str | None:
    """The parent's digest in a recipe's data; None for a base. `StepError` if it is no recipe that this version can read."""
    kind, parent = data.get("kind"), data.get("parent")
    if data.get("format") not in READABLE or kind not in ("base", "packages", "unpack", "machine"):
        raise StepError("this image layer was made by another version of labctl", why=f"recipe {kind}, format {data.get('format')}")
    if kind == "base":
        return None
    if not isinstance(parent, str) or not is_digest(parent):
        raise StepError("an image layer's recipe names no parent")
    return parent


def is_digest(text: str) -> bool:
    return len(text) == 64 and all(letter in "0123456789abcdef" for letter in text)


def title_of(data: Mapping[str, Any]) -> str:
    """A few words for a list of layers, from a recipe's data."""
    return _title(data) + ("" if data["format"] == FORMAT else ", of an earlier labctl")


def _title(data: Mapping[str, Any]) -> str:
    if data["kind"] == "base":
        return f"base: Debian {data['suite']}, {data['made']}"
    if data["kind"] == "packages":
        return f"packages: {' '.join(data['packages'])}"
    if data["kind"] == "unpack":
        return f"unpacked in {data['directory']}: {' '.join(data['packages'])} ({data['architecture']})"
    return f"a node's own: {len(data['files'])} files, {len(data['run'])} commands"

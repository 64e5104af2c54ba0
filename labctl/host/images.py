"""Image layers of this machine: found by what they are made of, built once, never half there.

Owns the turns that builders take and the order of steps from recipe to layer; the makers are image_base, image_packages and
image_machine, the keeping is image_store's, travelling image_archive's. A layer of a node's own files and commands is made in a
machine, which the engine lends as `RunInMachine`: this room knows no agent.
"""

import contextlib
import errno
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import LockHeld, StepError, UsageError
from labctl.host import image_archive
from labctl.host.image_base import build_base, now_stamp, read_base_recipe
from labctl.host.image_kernel import make_kernel
from labctl.host.image_machine import render_scripts
from labctl.host.image_packages import build_packages
from labctl.host.image_recipe import BaseRecipe, LayerRecipe, MachineRecipe, NodeRecipe, PackageRecipe, UnpackRecipe, digest_of
from labctl.host.image_store import (
    DISK,
    FILES,
    XEN,
    FileDigest,
    LayerFiles,
    LayerRecord,
    Store,
    StoredLayer,
    require_own_backing,
    sha256_of,
)
from labctl.host.image_tools import Tell, lines_of, no_room, remove_build, require_room
from labctl.host.image_unpacking import build_unpacked
from labctl.host.locks import lock
from labctl.host.making import remove_whole
from labctl.host.run import run

__all__ = ["ImageStore", "LayerFiles", "Removed", "RunInMachine", "StoredLayer", "short"]
WAIT_S = 3600.0

# Starts a machine without network on `layer` (its first disk may be written), runs the scripts in it as root in order, and
# switches it off cleanly. Raises a StepError if a script's status is not 0.
RunInMachine = Callable[[LayerFiles, Sequence[str]], None]


@dataclass(frozen=True)
class Removed:
    """What a removal took away."""

    titles: tuple[str, ...]
    size_bytes: int


class ImageStore:
    """The layers in `directory`, those of a read-only second one, and how to make more. `templates` is templates/base."""

    def __init__(self, directory: Path, templates: Path, shared: Path | None = None) -> None:
        self._store = Store(directory, shared)
        self._templates = templates

    def find(self, digest: str) -> LayerFiles | None:
        """The layer with this recipe's digest, or None."""
        return self._store.find(digest)

    def base_packages(self) -> frozenset[str]:
        """What every layer has already."""
        return frozenset(lines_of(self._templates / "packages.txt"))

    def find_base(self) -> LayerFiles | None:
        """The newest base image that is made as templates/base has it now, of whatever date."""
        found = self._newest_base()
        return self._store.find(found.digest) if found else None

    def base_key(self) -> str:
        """Digest of what the base image is made of, without its date: the same on all machines with this labctl."""
        return read_base_recipe(self._templates, "").undated_digest

    def _newest_base(self) -> LayerRecord | None:
        undated = self.base_key()
        bases = [layer.record for layer in self._store.layers() if layer.usable and layer.record.parent is None]
        fitting = [record for record in bases if _undated(record) == undated]
        return max(fitting, key=lambda record: str(record.recipe["made"]), default=None)

    def build_base(self, tell: Tell, *, fresh: bool = False) -> LayerFiles:
        """The base image, made if there is none (or anyway, with `fresh`, from today's packages)."""
        asked = now_stamp()
        if not fresh and (found := self.find_base()) is not None:
            return found
        recipe = read_base_recipe(self._templates, asked)
        with self._turn(recipe.undated_digest, "the base image", tell):
            newest = self._newest_base()
            if newest is not None and newest.built >= asked:  # whoever we waited for made it
                return self._found(newest.digest)
            return self._build(recipe, recipe.undated_digest, tell, None)

    def build(self, recipe: NodeRecipe, tell: Tell, run_in_machine: RunInMachine | None = None) -> LayerFiles:
        """The layer of this recipe, made if it is not there. Its parent must be."""
        if (found := self._store.find(recipe.digest)) is not None:
            return found
        with self._turn(recipe.digest, recipe.title, tell):
            if (found := self._store.find(recipe.digest)) is not None:
                return found
            return self._build(recipe, recipe.digest, tell, run_in_machine)

    def _build(self, recipe: LayerRecipe, key: str, tell: Tell, run_in_machine: RunInMachine | None) -> LayerFiles:
        self._store.sweep()
        with self._store.building(key) as build:
            try:
                record = self._make(recipe, build, tell, run_in_machine)
                self._store.commit(build, record)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise no_room(build, str(error)) from error
                raise
        return self._found(recipe.digest)

    def _found(self, digest: str) -> LayerFiles:
        found = self._store.find(digest)
        if found is None:
            raise StepError(f"image layer {digest[:12]} is gone right after it was made", hint="labctl image ls --verify")
        return found

    def _make(self, recipe: LayerRecipe, build: Path, tell: Tell, run_in_machine: RunInMachine | None) -> LayerRecord:
        if isinstance(recipe, BaseRecipe):
            cmdline = build_base(recipe, self._templates, build, tell)
            return _record(recipe, build, cmdline, "")
        parent = self._store.require_parent(recipe.parent)
        if isinstance(recipe, PackageRecipe):
            self._make_packages(recipe, parent, build, tell)
        elif isinstance(recipe, UnpackRecipe):
            _require_room_for(recipe, parent, build)
            build_unpacked(parent.disks[0], recipe, self._templates, build, tell)
        else:
            self._make_machine(recipe, parent, build, tell, run_in_machine)
        require_own_backing(build / DISK, recipe.parent)
        below = self._store.record(self._store.directory, recipe.parent)
        assert below is not None
        return _record(recipe, build, parent.cmdline, below.content)

    def _make_packages(self, recipe: PackageRecipe, parent: LayerFiles, build: Path, tell: Tell) -> None:
        _require_room_for(recipe, parent, build)
        if kernels := build_packages(parent.disks, recipe.packages, build, tell):
            under_xen = parent.xen is not None or (build / XEN).exists()  # QEMU keeps dom0's kernel in memory in any form: the smaller
            make_kernel(build / "kernel.tar", self._templates, build, kernels, packed=under_xen)
        (build / "kernel.tar").unlink(missing_ok=True)

    def _make_machine(
        self, recipe: MachineRecipe, parent: LayerFiles, build: Path, tell: Tell, run_in_machine: RunInMachine | None
    ) -> None:
        if run_in_machine is None:
            raise StepError("a layer of a node's own files and commands needs a machine, and none was lent")
        scripts = render_scripts(recipe)
        require_room(build, 1024, "for a node's own files and commands")
        disk = build / DISK
        run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", f"../{recipe.parent}/{DISK}", "-F", "qcow2", str(disk)], timeout_s=60)
        tell("starting a machine for a node's own files and commands")
        run_in_machine(
            LayerFiles("", recipe.digest, (disk, *parent.disks), parent.kernel, parent.initrd, parent.cmdline, 0, parent.xen), scripts
        )

    @contextlib.contextmanager
    def _turn(self, key: str, what: str, tell: Tell) -> Iterator[None]:
        """Hold the lock of one layer; say so if that takes a wait."""
        file, doing = self._store.lock_file(key), f"make {what}"
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(lock(file, doing))
            except LockHeld as held:
                tell(f"waiting: {held.why}")
                stack.enter_context(lock(file, doing, wait_s=WAIT_S))
            yield

    def sweep(self) -> tuple[str, ...]:
        """Take away what killed builds left; names of what was removed."""
        return self._store.sweep()

    def layers(self) -> tuple[StoredLayer, ...]:
        """All layers, parents first."""
        return self._store.layers()

    def verify(self, layer: StoredLayer) -> tuple[str, ...]:
        """What is wrong with a layer's contents, every byte read; empty if nothing is."""
        return self._store.verify(layer.record.digest, layer.place.parent)

    def lies_on(self, layer: StoredLayer, recipe: str) -> bool:
        """Whether a layer is the one of `recipe` or has it somewhere below."""
        return recipe in self._with_parents([layer.record.digest])

    def one(self, word: str) -> StoredLayer:
        """The layer whose digest begins with `word`. `UsageError` if there is none or several."""
        fitting = [layer for layer in self.layers() if layer.record.digest.startswith(word)] if word else []
        if len({layer.record.digest for layer in fitting}) != 1:
            what = f"no image layer '{word}'" if not fitting else f"several image layers begin with '{word}'"
            raise UsageError(what, hint="labctl image ls names them")
        return fitting[0]

    def remove(self, digests: Collection[str], in_use: Collection[str]) -> Removed:
        """Remove these layers of our own directory. `UsageError` if one is in use, or another layer lies on it, or it is not ours."""
        own = [layer for layer in self.layers() if not layer.shared]
        going = [layer for layer in own if layer.record.digest in digests]
        if foreign := set(digests) - {layer.record.digest for layer in going}:
            why = "it lies in the shared directory, LABCTL_IMAGES"
            raise UsageError(f"image layer {min(foreign)[:12]} is not labctl's to remove", why=why)
        for layer in going:
            above = [other.record for other in own if other.record.parent == layer.record.digest and other.record.digest not in digests]
            if layer.record.digest in self._with_parents(in_use):
                raise UsageError(
                    f"image layer {short(layer)} is in use",
                    why="a node of a lab or a checkpoint lies on it",
                    hint="labctl image ls tells which",
                )
            if above:
                raise UsageError(f"image layer {short(layer)} carries others", why=f"{above[0].digest[:12]} ({above[0].title}) lies on it")
        return self._remove(going)

    def prune(self, keep: Collection[str]) -> Removed:
        """Remove all layers of our own directory but these and what they lie on."""
        kept = self._with_parents(keep)
        return self._remove([layer for layer in self.layers() if not layer.shared and layer.record.digest not in kept])

    def _with_parents(self, digests: Collection[str]) -> frozenset[str]:
        parents = {layer.record.digest: layer.record.parent for layer in self.layers()}
        found: set[str] = set()
        for digest in digests:
            current: str | None = digest
            while current is not None and current not in found:
                found.add(current)
                current = parents.get(current)
        return frozenset(found)

    def _remove(self, layers: Sequence[StoredLayer]) -> Removed:
        if self._store.is_building():
            raise LockHeld("cannot remove image layers now", why="one is being made", hint="wait for it, or try again")
        for layer in reversed(layers):  # what lies on top goes first
            remove_whole(layer.place, remove=remove_build)
        return Removed(tuple(layer.record.title for layer in layers), sum(layer.record.size_bytes for layer in layers))

    def export(self, digests: Collection[str], file: Path, tell: Tell) -> int:
        """Write these layers and all they lie on to `file`, a tar (compressed if it ends in .zst); number of layers."""
        wanted = self._with_parents(digests)
        chosen = {layer.record.digest: layer for layer in reversed(self.layers()) if layer.record.digest in wanted and layer.usable}
        image_archive.write_archive(file, list(reversed(chosen.values())), tell)
        return len(chosen)

    def import_(self, file: Path, tell: Tell) -> tuple[str, ...]:
        """Take the layers of an archive in; titles of those that were new."""
        return image_archive.read_archive(file, self._store, tell)


def short(layer: StoredLayer) -> str:
    """The beginning of a layer's digest, as lists and messages show it."""
    return layer.record.digest[:12]


def _require_room_for(recipe: PackageRecipe | UnpackRecipe, parent: LayerFiles, build: Path) -> None:
    """`HostError` unless the copies of the parent and the packages have room in `build`."""
    size_mib = sum(disk.stat().st_size for disk in parent.disks) // 2**20
    require_room(build, 4 * size_mib + 500, f"to add {' '.join(recipe.packages)}")


def _undated(record: LayerRecord) -> str:
    return digest_of({**record.recipe, "made": ""})


def _record(recipe: LayerRecipe, build: Path, cmdline: str, parent_content: str) -> LayerRecord:
    names = [name for name in FILES if (build / name).exists()]
    files = {name: FileDigest(sha256_of(build / name), os.path.getsize(build / name)) for name in names}
    return LayerRecord(recipe.digest, recipe.as_data(), files, cmdline, now_stamp(), parent_content)

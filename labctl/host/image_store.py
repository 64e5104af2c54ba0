"""Where image layers are kept: one directory each, named by its recipe's digest, complete or not there at all.

    <images>/<digest>/{layer.json, disk.qcow2[, vmlinux or vmlinuz, initrd, xen]}     read-only once it is there
    <images>/.building-<key>/   <images>/.<key>.lock                  a build under way, with its note (host/making); swept by the
                                                                      next one if its maker died

Owns layer.json, finding and checking. A second, read-only directory (a classroom's) is looked at too; a layer whose parent lies
there gets a link of the parent's name beside it, since a disk names its parent as ../<digest>/disk.qcow2. How a layer is made is
`host/images`'s affair, what uses it the engine's.
"""

import contextlib
import hashlib
import json
import os
import shutil
import struct
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labctl.errors import StepError
from labctl.host.image_recipe import digest_of, is_digest, parent_of, title_of
from labctl.host.image_tools import remove_build
from labctl.host.making import dead_makings, live_makings, making, sweep_making

RECORD, DISK, VMLINUX, VMLINUZ, INITRD, XEN = "layer.json", "disk.qcow2", "vmlinux", "vmlinuz", "initrd", "xen"
KERNELS = (VMLINUX, VMLINUZ)  # plain, or as it was packed; a layer has one of them or none
FILES = (DISK, *KERNELS, INITRD, XEN)  # all that a layer may hold, besides its record
BUILDING = ".building-"
QCOW2_MAGIC = 0x514649FB
EXTERNAL_DATA = 4  # incompatible feature bit 2, docs/interop/qcow2 in QEMU's manual


@dataclass(frozen=True)
class FileDigest:
    """A file of a layer: its SHA-256 and size."""

    sha256: str
    size: int


@dataclass(frozen=True)
class LayerRecord:
    """layer.json. `digest` is the recipe's; `content` that of what is really in the layer and those below.

    Two makes of one recipe differ in content (packages are updated), and a disk fits only the very parent it was made on.
    """

    digest: str
    recipe: Mapping[str, Any]
    files: Mapping[str, FileDigest]
    cmdline: str
    built: str
    parent_content: str = ""

    @property
    def parent(self) -> str | None:
        return parent_of(self.recipe)

    @property
    def title(self) -> str:
        return title_of(self.recipe)

    @property
    def content(self) -> str:
        files = {name: asdict(file) for name, file in self.files.items()}
        return digest_of({"recipe": self.digest, "files": files, "cmdline": self.cmdline, "parent": self.parent_content})

    @property
    def size_bytes(self) -> int:
        return sum(file.size for file in self.files.values())

    def to_json(self) -> str:
        return json.dumps({**asdict(self), "content": self.content}, indent=1, sort_keys=True) + "\n"


@dataclass(frozen=True)
class LayerFiles:
    """A layer, ready to run a node on. `disks` is the chain, the layer's own first; `size_bytes` that of the layer alone.

    `digest` is that of the contents, chain included: what a node's overlay or a saved machine fits. `recipe` finds it.
    """

    digest: str
    recipe: str
    disks: tuple[Path, ...]
    kernel: Path
    initrd: Path
    cmdline: str
    size_bytes: int
    xen: Path | None = None  # a hypervisor that is booted first and then starts the kernel


@dataclass(frozen=True)
class StoredLayer:
    """A layer as a list shows it. `place` is its directory; `shared` says that it lies in the second, read-only directory."""

    record: LayerRecord
    place: Path
    shared: bool
    usable: bool  # the layers below are there too


def parse_record(text: str, digest: str) -> LayerRecord:
    """layer.json of the layer `digest`; `StepError` unless all in it is as it must be: it may come from elsewhere."""
    try:
        data = json.loads(text)
        files = {name: FileDigest(str(file["sha256"]), int(file["size"])) for name, file in data["files"].items()}
        texts = (str(data[name]) for name in ("cmdline", "built", "parent_content"))
        record = LayerRecord(str(data["digest"]), data["recipe"], files, *texts)
        fits = record.digest == digest and record.content == data["content"] and _agrees(record)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as wrong:
        raise StepError(f"the record of image layer {digest[:12]} cannot be read", why=str(wrong)[:200]) from wrong
    if not fits:
        raise StepError(f"the record of image layer {digest[:12]} contradicts itself", hint="make or import the layer again")
    return record


def _agrees(record: LayerRecord) -> bool:
    """Whether a record's parts fit each other, its digest and its recipe first."""
    files, is_base = record.files, record.parent is None
    return (
        record.digest == digest_of(record.recipe)
        and bool(record.title)
        and DISK in files
        and set(files) <= set(FILES)
        and all(file.size >= 0 and is_digest(file.sha256) for file in files.values())
        and sum(name in files for name in KERNELS) == (INITRD in files)
        and (INITRD in files or not is_base)
        and is_base == (record.parent_content == "")
        and "\n" not in record.cmdline
    )


def sha256_of(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def backing_of(header: bytes) -> str | None:
    """The backing file that a qcow2 header names; `StepError` for what is no qcow2 or keeps its data elsewhere."""
    if len(header) < 104 or struct.unpack_from(">I", header)[0] != QCOW2_MAGIC:
        raise StepError("a layer's disk is no qcow2 image")
    version, offset, size = struct.unpack_from(">IQI", header, 4)
    features = struct.unpack_from(">Q", header, 72)[0] if version >= 3 else 0
    if features & EXTERNAL_DATA:
        raise StepError("a layer's disk keeps its data in another file")
    return header[offset : offset + size].decode("utf-8", "replace") if offset else None


def chain_of(disk: Path) -> tuple[Path, ...]:
    """The files that `disk` lies on, top first, as their headers say; `StepError` if one is not there or is no disk.

    For disks that labctl made itself: a header decides what a machine reads, so it, and no note of it, is what counts.
    """
    found: list[Path] = []
    current = disk
    try:
        while True:
            with current.open("rb") as file:
                backing = backing_of(file.read(4096))
            if backing is None:
                return tuple(found)
            current = Path(os.path.normpath(current.parent / backing))
            found.append(current)
    except OSError as missing:
        raise StepError(f"{disk.name} lies on a disk that is not there", why=str(missing), hint="labctl reset makes it anew") from missing


def require_own_backing(disk: Path, parent: str | None) -> None:
    """`StepError` unless the disk lies on its parent's disk and on nothing else: a foreign one could name any file of the host."""
    with disk.open("rb") as file:
        backing = backing_of(file.read(65536))
    if backing != (f"../{parent}/{DISK}" if parent else None):
        raise StepError("a layer's disk lies on a file that is not its parent's", why=f"it names {backing!r}")


class Store:
    """The layers in `directory`, and in `shared` if there is such a second one."""

    def __init__(self, directory: Path, shared: Path | None = None) -> None:
        self.directory = directory
        self.shared = shared if shared is not None and shared.resolve() != directory.resolve() else None

    @property
    def places(self) -> tuple[Path, ...]:
        return (self.directory, self.shared) if self.shared is not None else (self.directory,)

    def find(self, digest: str) -> LayerFiles | None:
        """The layer with this recipe's digest, all layers below included; None if any is missing or not what it was made on."""
        for place in self.places:
            if (found := self._chain(place, digest)) is not None:
                return found
        return None

    def _chain(self, place: Path, digest: str) -> LayerFiles | None:
        disks, kernel, xen, own, wanted = [], None, None, None, ""
        current: str | None = digest
        while current is not None:
            record = self.record(place, current)
            if record is None or (wanted and record.content != wanted):
                return None
            own = own or record
            disks.append(place / current / DISK)
            if kernel is None:
                kernel = next((place / current / name for name in KERNELS if name in record.files), None)
            if xen is None and XEN in record.files:
                xen = place / current / XEN
            wanted, current = record.parent_content, record.parent
        if own is None or kernel is None:
            return None
        return LayerFiles(own.content, digest, tuple(disks), kernel, kernel.with_name(INITRD), own.cmdline, own.size_bytes, xen)

    def record(self, place: Path, digest: str) -> LayerRecord | None:
        """The record of a layer in `place`, if its files are there with the sizes it says; None else."""
        if not is_digest(digest):
            return None
        try:
            record = parse_record((place / digest / RECORD).read_text(), digest)
            whole = all((place / digest / name).stat().st_size == file.size for name, file in record.files.items())
        except (OSError, UnicodeDecodeError, StepError):
            return None
        return record if whole else None

    def layers(self) -> tuple[StoredLayer, ...]:
        """All layers, parents before children, each place's own."""
        found = []
        for place in self.places:
            for name in sorted(os.listdir(place)) if place.is_dir() else ():
                if is_digest(name) and not (place / name).is_symlink() and (record := self.record(place, name)) is not None:
                    found.append(StoredLayer(record, place / name, place == self.shared, self._chain(place, name) is not None))
        return tuple(sorted(found, key=lambda layer: (self._depth(layer.record), layer.record.built)))

    def _depth(self, record: LayerRecord) -> int:
        return {"base": 0, "packages": 1, "unpack": 2, "machine": 3}[str(record.recipe["kind"])]

    def verify(self, digest: str, place: Path) -> tuple[str, ...]:
        """What is wrong with the contents of a layer in `place`, empty if all its files are as they were made."""
        record = self.record(place, digest)
        if record is None:
            return ("it is not there, or not whole",)
        files = ((place / digest / name, file) for name, file in record.files.items())
        wrong = [f"{path.name}: content has changed" for path, file in files if sha256_of(path) != file.sha256]
        try:
            require_own_backing(place / digest / DISK, record.parent)
        except StepError as error:
            wrong.append(str(error))
        return tuple(wrong)

    def require_parent(self, digest: str) -> LayerFiles:
        """The layer to build upon, reachable as a neighbour in our own directory: linked there if it lies in the shared one."""
        found = self.find(digest)
        if found is None:
            raise StepError(f"image layer {digest[:12]} is not there", hint="labctl image build")
        for disk in found.disks:
            link = self.directory / disk.parent.name
            if disk.parent.parent != self.directory:
                with contextlib.suppress(FileNotFoundError):
                    link.unlink() if link.is_symlink() else shutil.rmtree(link)
                link.symlink_to(disk.parent.resolve())
        own = self._chain(self.directory, digest)
        if own is None:
            raise StepError(f"image layer {digest[:12]} cannot be used from here", why=f"looked in {self.directory}")
        return own

    @contextlib.contextmanager
    def building(self, key: str) -> Iterator[Path]:
        """A fresh directory to build in; the caller holds `key`'s lock. It is gone after the block unless `commit` took it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with making(self.directory / f"{BUILDING}{key}", "an image layer", remove=remove_build) as build:
            build.chmod(0o755)  # a finished layer may be shared by a class
            yield build

    def commit(self, build: Path, record: LayerRecord) -> None:
        """Make the built directory the layer, durably: files first, then the name. A damaged one of that name gives way."""
        (build / RECORD).write_text(record.to_json())
        for name in (*record.files, RECORD):
            with (build / name).open("rb") as file:
                os.fsync(file.fileno())
            (build / name).chmod(0o444)
        place = self.directory / record.digest
        with contextlib.suppress(FileNotFoundError):
            place.unlink() if place.is_symlink() else shutil.rmtree(place)
        build.rename(place)
        handle = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def lock_file(self, key: str) -> Path:
        return self.directory / f".{key}.lock"

    def sweep(self) -> tuple[str, ...]:
        """Remove what killed builds left, and links to layers that are no longer there; names of what was removed."""
        removed = [dead.place.name for dead in dead_makings(self.directory) if sweep_making(dead, remove=remove_build)]
        for path in self.directory.glob("*"):
            if path.is_symlink() and not path.exists() and is_digest(path.name):
                path.unlink()
                removed.append(path.name)
        return tuple(removed)

    def is_building(self) -> bool:
        """Whether some build is under way now."""
        self.sweep()
        return bool(live_makings(self.directory))

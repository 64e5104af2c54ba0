"""Layers as one file, to carry to other machines: a tar, parents first, each layer's record before its files.

    <digest>/layer.json   <digest>/disk.qcow2   [<digest>/vmlinux or vmlinuz  <digest>/initrd  <digest>/xen]

Owns that order and everything that is checked on the way in: an archive may come from anybody. Only these names are taken, only
plain files, only with the sizes and digests that the record says, and a disk only if it lies on its own parent.
"""

import contextlib
import hashlib
import io
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from labctl.errors import HostError, StepError
from labctl.host.image_recipe import FORMAT, is_digest
from labctl.host.image_store import DISK, RECORD, LayerRecord, Store, StoredLayer, parse_record, require_own_backing
from labctl.host.image_tools import Tell, require_room
from labctl.host.locks import lock
from labctl.host.run import start, stop

RECORD_LIMIT = 8 << 20
PIECE = 1 << 20
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
WAIT_S = 3600.0


def write_archive(file: Path, layers: Sequence[StoredLayer], tell: Tell) -> None:
    """Write the layers to `file`, whole or not at all; compressed by zstd(1) if its name ends in .zst."""
    partial = file.with_name(f".{file.name}.partial")
    try:
        with partial.open("wb") as target, _compressed(target, file.suffix == ".zst") as stream:
            _write_layers(stream, layers, tell)
        partial.rename(file)
    finally:
        partial.unlink(missing_ok=True)


def _write_layers(stream: IO[bytes], layers: Sequence[StoredLayer], tell: Tell) -> None:
    with tarfile.open(fileobj=stream, mode="w|") as tar:
        for layer in layers:
            tell(f"writing {layer.record.title}")
            for name in (RECORD, *layer.record.files):
                _add(tar, layer.place / name, f"{layer.record.digest}/{name}")


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = path.stat().st_size, 0o444, int(path.stat().st_mtime)
    with path.open("rb") as content:
        tar.addfile(member, content)


@contextlib.contextmanager
def _compressed(target: IO[bytes], wanted: bool) -> Iterator[IO[bytes]]:
    if not wanted:
        yield target
        return
    process = start(["zstd", "-q", "-T0", "-c"], stdin=subprocess.PIPE, stdout=target, stderr=subprocess.PIPE)
    assert process.stdin is not None
    try:
        yield process.stdin
        process.stdin.close()
        if process.wait() != 0:
            raise _unwritten(process)
    except BrokenPipeError as ended:
        raise _unwritten(process) from ended
    finally:
        stop(process)


def _unwritten(process: "subprocess.Popen[bytes]") -> HostError:
    assert process.stderr is not None
    said = process.stderr.read().decode(errors="replace").strip()
    return HostError("zstd could not write the archive", why=said, hint="is there room left? df shows it")


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    """The archive's tar as a stream, decompressed where it is compressed by zstd."""
    with file.open("rb", buffering=0) as source:  # no buffer: another program goes on reading where we stopped
        packed = source.read(4) == ZSTD_MAGIC
        source.seek(0)
        if not packed:
            yield source
            return
        process = start(["zstd", "-q", "-d", "-c"], stdin=source, stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            yield process.stdout
        finally:
            stop(process)


def read_archive(file: Path, store: Store, tell: Tell) -> tuple[str, ...]:
    """Take in the layers that `store` has not yet, each checked while it is read; titles of the new ones."""
    new = []
    store.directory.mkdir(parents=True, exist_ok=True)
    try:
        with _opened(file) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            members = iter(tar)
            for member in members:
                record = _record_of(tar, member)
                if _take_layer(tar, members, record, store, tell):
                    new.append(record.title)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as missing:
        raise StepError(f"there is no archive {file}", why=missing.strerror or "") from missing
    except (tarfile.TarError, EOFError) as broken:
        hint = "such a file is written by: labctl image export FILE"
        raise StepError(f"{file.name} is no archive of image layers", why=str(broken), hint=hint) from broken
    return tuple(new)


def _record_of(tar: tarfile.TarFile, member: tarfile.TarInfo) -> LayerRecord:
    digest, _, name = member.name.partition("/")
    if name != RECORD or not is_digest(digest) or not member.isreg() or member.size > RECORD_LIMIT:
        raise _unexpected(member.name)
    content = tar.extractfile(member)
    assert content is not None
    record = parse_record(content.read().decode("utf-8", "replace"), digest)
    if record.recipe["format"] != FORMAT:
        hint = "make the archive with this version: labctl image export FILE"
        raise StepError("the archive's layers are of an earlier labctl", why="this one would use none of them", hint=hint)
    return record


def _unexpected(name: str) -> StepError:
    return StepError(
        "the archive holds what no archive of image layers holds", why=f"unexpected member {name[:200]!r}",
        hint="layers before it were whole and are kept; the rest was not read",
    )  # fmt: skip


def _take_layer(tar: tarfile.TarFile, members: Iterator[tarfile.TarInfo], record: LayerRecord, store: Store, tell: Tell) -> bool:
    """Read one layer's files; into the store unless it has them."""
    with lock(store.lock_file(record.digest), f"import {record.title}", wait_s=WAIT_S):
        if store.find(record.digest) is not None:
            _require_same(store, record)
            for name in record.files:
                _copy(tar, _next(members, record, name), io.BytesIO(), record, name, keep=False)
            return False
        tell(f"importing {record.title}")
        require_room(store.directory, record.size_bytes // 2**20 + 64, f"for {record.title}")
        with store.building(record.digest) as build:
            for name in record.files:
                with (build / name).open("wb") as target:
                    _copy(tar, _next(members, record, name), target, record, name, keep=True)
            require_own_backing(build / DISK, record.parent)
            _require_parent(store, record)
            store.commit(build, record)
    return True


def _next(members: Iterator[tarfile.TarInfo], record: LayerRecord, name: str) -> tarfile.TarInfo:
    member = next(members, None)
    if member is None:
        raise StepError("the archive ends in the middle of a layer", why=record.title, hint="copy it again")
    if member.name != f"{record.digest}/{name}" or not member.isreg() or member.size != record.files[name].size:
        raise _unexpected(member.name)
    return member


def _copy(tar: tarfile.TarFile, member: tarfile.TarInfo, target: IO[bytes], record: LayerRecord, name: str, *, keep: bool) -> None:
    source = tar.extractfile(member)
    assert source is not None
    sha = hashlib.sha256()
    while piece := source.read(PIECE):
        sha.update(piece)
        if keep:
            target.write(piece)
    if sha.hexdigest() != record.files[name].sha256:
        raise StepError(f"{name} of {record.title} is not what its record says", why="its SHA-256 differs", hint="copy the archive again")


def _require_parent(store: Store, record: LayerRecord) -> None:
    """`StepError` unless the layer below is there with the very content that this one's disk was made on."""
    if record.parent is None:
        return
    store.require_parent(record.parent)
    below = store.record(store.directory, record.parent)
    if below is None or below.content != record.parent_content:
        raise StepError(
            f"{record.title} does not fit the layers that are here", why="it was made on another make of the layer below",
            hint=f"labctl image rm {record.parent[:12]}, then import again",
        )  # fmt: skip


def _require_same(store: Store, record: LayerRecord) -> None:
    """`StepError` if the store's layer of this recipe has other contents: two makes of one recipe cannot be mixed."""
    for place in store.places:
        if (here := store.record(place, record.digest)) is not None and here.content == record.content:
            return
    raise StepError(
        f"{record.title} is here already, in another make", why="the same recipe, made on two machines, has two contents",
        hint=f"labctl image rm {record.digest[:12]}, then import again",
    )  # fmt: skip

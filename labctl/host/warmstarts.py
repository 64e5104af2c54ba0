"""Saved machines on disk: RAM file, device state and disk of a booted one, found by the key of all that must match.

Owns the directories of warm images (one machine, no cable) and of checkpoints (a whole lab), how they come to be whole or not at all, and
how a copy's RAM file is made. Knows neither roles nor labs: a key is a digest, a machine is three files.
"""

import contextlib
import errno
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from labctl.errors import HostError
from labctl.host.accelerator import qemu_version
from labctl.host.domain_xml import CPU_MODEL, MACHINE
from labctl.host.locks import lock
from labctl.host.making import is_whole, making, new_name, remove_whole
from labctl.host.room import MAKE_ROOM, allocate, need_room
from labctl.host.run import run

FORMAT = 5  # a change of the machine's devices, or of what is settled before it is saved, raises it
BUILD_WAIT_S = 900.0


@dataclass(frozen=True)
class MachineKey:
    """All that must match for a saved state to start (design §5)."""

    layer: str
    memory_mib: int
    cpus: int
    accelerator: str
    templates: str  # digest of the domain's XML templates: the device list
    waits: str  # digest of the program that waits in it
    machine: str = MACHINE
    cpu_model: str = CPU_MODEL
    qemu: str = ""
    format: int = FORMAT

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class SavedMachine:
    """A machine that can be started as it was: `disk` lies on `layer`'s disks."""

    directory: Path

    @property
    def ram(self) -> Path:
        return self.directory / "ram"

    @property
    def state(self) -> Path:
        return self.directory / "state"

    @property
    def stream(self) -> Path:
        """Device state and memory in one, where the machine was saved as a whole; then there is neither `ram` nor `state`."""
        return self.directory / "stream"

    @property
    def disk(self) -> Path:
        return self.directory / "disk.qcow2"


def machine_key(layer: str, memory_mib: int, cpus: int, accelerator: str, templates: Path, waits: str) -> MachineKey:
    """The key of a machine on this host as it is now: its QEMU, its templates. `waits` is the text of the program that waits in it."""
    xml = b"".join((templates / name).read_bytes() for name in ("domain.xml.j2", "interface.xml.j2"))
    templates_digest, waits_digest = (hashlib.sha256(text).hexdigest() for text in (xml, waits.encode()))
    return MachineKey(layer, memory_mib, cpus, accelerator, templates_digest, waits_digest, qemu=qemu_version())


class SavedStore:
    """Directories of saved things below `root`, each by its key's digest, whole or not there."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def find(self, digest: str) -> Path | None:
        """The newest directory of `digest`, marked as used now; None if there is none."""
        found: dict[Path, int] = {}
        for place in (self._root / digest, *self._root.glob(f"{digest}.*")):
            with contextlib.suppress(OSError):  # another labctl may take it away at this moment
                if (place / "whole").exists():
                    found[place] = place.stat().st_ctime_ns
        if not found:
            return None
        newest = max(found, key=lambda place: found[place])
        with contextlib.suppress(OSError):
            os.utime(newest / "whole")
        return newest

    def make(self, digest: str, build: Callable[[Path], None], about: Mapping[str, object]) -> Path:
        """The directory of `digest`, built by `build` in a place of its own if it is not there: once, also for two at the same moment."""
        with lock(self._root / f".{digest[:16]}.lock", "save a machine", wait_s=BUILD_WAIT_S):
            if known := self.find(digest):
                return known
            with self.half_made(digest) as place:
                build(place)
                (place / "about.json").write_text(json.dumps(about, indent=1))
                return self.keep(place, digest)

    @contextlib.contextmanager
    def half_made(self, digest: str) -> Iterator[Path]:
        """A directory in the making; what is left of it after the block is removed."""
        with making(self._root / new_name(f"half-{digest[:16]}"), "a saved machine") as place:
            yield place

    def keep(self, place: Path, digest: str) -> Path:
        """Make a directory in the making one of `digest`. One that is there stays: machines may be running on it."""
        (place / "whole").touch()
        for file in (entry for entry in place.rglob("*") if entry.is_file()):
            _to_disk(file)
        names = itertools.chain((digest,), (f"{digest}.{number}" for number in itertools.count(1)))
        while True:
            final = self._root / next(names)
            try:
                return place.rename(final)  # refused where a directory with anything in it is (rename(2))
            except OSError:
                if not final.exists():
                    raise

    def listed(self) -> tuple[Path, ...]:
        """All whole directories, the least recently used first."""
        return tuple(sorted((mark.parent for mark in self._root.glob("*/whole") if is_whole(mark.parent)), key=last_used))

    def remove(self, place: Path) -> None:
        """Take a directory away; nothing if another labctl did so first."""
        with contextlib.suppress(FileNotFoundError):
            remove_whole(place)


def last_used(place: Path) -> float:
    """When a saved directory was last used, seconds since 1970; 0 if it has gone."""
    with contextlib.suppress(OSError):
        return (place / "whole").stat().st_mtime
    return 0.0


def _to_disk(file: Path) -> None:
    handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def copy_ram(source: Path, target: Path, size_mib: int) -> None:
    """A copy of a RAM file (0.1 s for 512 MiB), all of its space allocated; `NoRoom` if there is not enough for it.

    No reflink: a shared block would need new space when it is written.
    """
    need_room(target.parent, size_mib, "a machine's memory")
    result = run(("cp", "--sparse=always", "--reflink=never", str(source), str(target)), timeout_s=120, check=False)
    try:
        if result.status != 0:
            raise HostError("a machine's memory cannot be copied", why=result.complaint, hint=MAKE_ROOM)
        allocate(target, size_mib, "a machine's memory")
    except HostError:
        target.unlink(missing_ok=True)
        raise


def move_file(source: Path, target: Path) -> None:
    """Move a file, holes kept, to another file system too."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        run(("cp", "--sparse=always", str(source), str(target)), timeout_s=600)
        source.unlink()


def size_on_disk(place: Path) -> int:
    """Bytes of disk below `place`, holes not counted."""
    total = 0
    for directory, _, files in os.walk(place):  # what goes while we look counts nothing
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(directory, name)).st_blocks * 512
    return total

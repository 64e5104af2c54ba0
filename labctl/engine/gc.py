"""`gc`: what belongs to no instance any more, listed first and then removed.

Owns the question what is left over after kills: directories of instances without a record, instances that died (only when asked), things
in the making whose maker is gone, saved machines that can never start again, locks of what is gone. Ownership is by our own record or
note (`host/making`, `host/locks`), never by the look of a name.
"""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labctl.engine.down import down
from labctl.engine.events import Reporter, silent
from labctl.engine.images import image_store
from labctl.engine.instances import InstanceRecord, instance_lock, list_instances, lock_file
from labctl.engine.saved_cache import orphans, remove_orphan
from labctl.errors import LabError, LockHeld, RemoveError
from labctl.host.image_tools import remove_build
from labctl.host.locks import is_held, is_lock, lock
from labctl.host.making import DeadMaking, dead_makings, remove_tree, sweep_making
from labctl.host.places import cache_directory, images_directory, instances_directory, scratch_directory, state_directory
from labctl.host.warmstarts import size_on_disk


@dataclass(frozen=True)
class Leftover:
    """Something that `gc` would remove. `kind`: directory (no record), dead (an instance whose processes are gone), making (its maker was
    killed), saved (a saved machine whose image is gone), lock."""

    kind: str
    name: str
    path: Path
    size_bytes: int


def find_leftovers(*, dead: bool) -> tuple[Leftover, ...]:
    """What can be removed now. Dead instances keep their disks until someone says that they are not wanted."""
    found = [_leftover("directory", place) for place in _without_record()]
    if dead:
        found += [_leftover("dead", record.directory) for record in list_instances() if _is_dead(record)]
    found += [_leftover("making", left.place) for left in _dead_makings()]
    found += [_leftover("saved", place) for place in orphans()]
    return (*found, *(Leftover("lock", file.name, file, 0) for file in _loose_locks()))


def _is_dead(record: InstanceRecord) -> bool:
    """Whether its processes are gone and nobody is bringing it up."""
    return not record.alive and not is_held(lock_file(record.id))


def _leftover(kind: str, place: Path) -> Leftover:
    return Leftover(kind, place.name, place, size_on_disk(place))


def _without_record() -> Iterator[Path]:
    """Directories that a killed labctl made for an instance and had no time to record: the lock beside each says so."""
    for place in sorted(instances_directory().glob("*")):
        note = lock_file(place.name)
        ours = is_lock(note) or (place / "journal.jsonl").exists()
        if place.is_dir() and not place.is_symlink() and not (place / "instance.json").exists() and ours and not is_held(note):
            yield place


def _makers_places() -> tuple[Path, ...]:
    points = state_directory() / "checkpoints"
    saved = (cache_directory() / "checkpoints", cache_directory() / "warm")
    return (state_directory(), scratch_directory(), *sorted(points.glob("*")), *saved, images_directory())


def _dead_makings() -> tuple[DeadMaking, ...]:
    return tuple(left for root in _makers_places() for left in dead_makings(root))


def _loose_locks() -> Iterator[Path]:
    """Locks that nobody holds and that stand for nothing that is there."""
    instances = ((file, instances_directory() / file.name[1:].removesuffix(".lock")) for file in instances_directory().glob(".*.lock"))
    yield from sorted(file for file, stands_for in instances if not stands_for.exists() and is_lock(file) and not is_held(file))
    for root in (images_directory(), cache_directory() / "checkpoints", cache_directory() / "warm", cache_directory()):
        yield from sorted(file for file in root.glob(".*.lock") if is_lock(file) and not is_held(file))


def collect(leftovers: tuple[Leftover, ...], report: Reporter = silent) -> tuple[Leftover, ...]:
    """Remove `leftovers`; what another labctl works on now is passed over. Returns what was removed; `RemoveError` names the rest."""
    removed, failed = [], []
    records = {record.id: record for record in list_instances()}
    for leftover in leftovers:
        try:
            if _remove(leftover, records, report):
                removed.append(leftover)
        except LockHeld:
            continue
        except (OSError, LabError) as refused:
            failed.append(f"{leftover.path} ({refused})")
    with contextlib.suppress(OSError):
        image_store().sweep()
    if failed:
        raise RemoveError("not all could be removed", why=", ".join(failed))
    return tuple(removed)


def _remove(leftover: Leftover, records: dict[str, InstanceRecord], report: Reporter) -> bool:
    """Whether it went; what changed since it was found stays."""
    if leftover.kind == "dead":
        record = records.get(leftover.name)
        if record is None or record.alive:
            return False
        down(record, report, only_dead=True)
        return not record.directory.exists()
    if leftover.kind == "directory":
        with instance_lock(leftover.name, "collect", wait_s=0):
            if (leftover.path / "instance.json").exists() or not leftover.path.exists():
                return False
            shutil.rmtree(leftover.path)
        return True
    if leftover.kind == "making":
        remove = remove_build if leftover.path.parent == images_directory() else remove_tree
        return any(sweep_making(left, remove=remove) for left in _dead_makings() if left.place == leftover.path)
    if leftover.kind == "saved":
        return remove_orphan(leftover.path)
    with lock(leftover.path, "collect", keep=lambda: (leftover.path.parent / leftover.path.name[1:].removesuffix(".lock")).exists()):
        return True

"""The cache of saved machines: what it holds, what is used, and its limit. The least recently used goes first.

Owns the question what may go: nothing that an instance's disks, a checkpoint that stays or a person's point lies on.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from labctl.engine.checkpoints import checkpoint_store
from labctl.engine.instances import list_instances
from labctl.engine.points import disks_in, lies_on, list_points
from labctl.engine.session import disk_of
from labctl.engine.warm import warm_store
from labctl.errors import LockHeld, StepError, UsageError
from labctl.host.image_store import chain_of
from labctl.host.locks import lock, use
from labctl.host.places import cache_directory
from labctl.host.warmstarts import last_used, size_on_disk

WAIT_S = 60.0
DEFAULT_LIMIT_GIB = 20


def limit_bytes() -> int:
    """The limit of saved machines on disk: `LABCTL_SAVED_GIB`, 20 if it is not set. `UsageError` for what is no number."""
    word = os.environ.get("LABCTL_SAVED_GIB", str(DEFAULT_LIMIT_GIB))
    try:
        return int(float(word) * 2**30)
    except (ValueError, OverflowError):
        raise UsageError(f"LABCTL_SAVED_GIB is '{word}', no number", hint="as in LABCTL_SAVED_GIB=20") from None


@contextlib.contextmanager
def using_saved(doing: str) -> Iterator[None]:
    """While the block runs no saved machine goes: from the moment one is found until the record says that something lies on it."""
    with use(_lock_file(), doing, wait_s=WAIT_S):
        yield


def _lock_file() -> Path:
    return cache_directory() / ".saved.lock"


def trim(allowed: int) -> tuple[Path, ...]:
    """Remove what is over `allowed` bytes and not used; the directories that went. Nothing while another labctl starts machines."""
    try:
        with lock(_lock_file(), "make room in the cache of saved machines"):
            return _trim(allowed)
    except LockHeld:
        return ()


def _trim(allowed: int) -> tuple[Path, ...]:
    stores = (checkpoint_store(), warm_store())
    places = sorted((place for store in stores for place in store.listed()), key=last_used)
    sizes = {place: size_on_disk(place) for place in places}
    total = sum(sizes.values())
    gone: list[Path] = []
    for place in places:
        if total <= allowed:
            break
        if place not in used_places(gone):
            total -= sizes[place]
            warm_store().remove(place)
            gone.append(place)
    return tuple(gone)


def used_places(gone: Iterable[Path] = ()) -> frozenset[Path]:
    """Directories of saved machines that something lies on, as the disks' own headers say."""
    records = list_instances()
    disks = [disk_of(record, node.name) for record in records for node in record.nodes]
    disks += [disk for point in list_points() for disk in disks_in(point.place)]
    disks += [disk for place in checkpoint_store().listed() if place not in gone for disk in disks_in(place)]
    files = [file for disk in disks for file in lies_on(disk)]
    checkpoints = {Path(record.checkpoint) for record in records if record.checkpoint}
    return frozenset({parent for file in files for parent in file.parents} | checkpoints)


def orphans() -> tuple[Path, ...]:
    """Saved machines that can never start again: a disk below theirs is gone, as after `image rm`. None that something lies on."""
    places = [place for store in (checkpoint_store(), warm_store()) for place in store.listed()]
    used = used_places()
    return tuple(place for place in places if place not in used and not all(_is_whole(disk) for disk in disks_in(place)))


def remove_orphan(place: Path) -> bool:
    """Remove it; False while another labctl starts machines."""
    try:
        with lock(_lock_file(), "remove a saved machine"):
            warm_store().remove(place)
    except LockHeld:
        return False
    return True


def _is_whole(disk: Path) -> bool:
    try:
        chain_of(disk)
    except StepError:
        return False
    return True

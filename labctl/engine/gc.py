"""`gc`: what belongs to no instance any more, listed first and then removed.

Owns the question what is left over: directories without a record, instances that died (only when asked), locks of instances that are
gone. Ownership is by our own record in our own directory, never by the look of a name.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from labctl.engine.down import down
from labctl.engine.events import Reporter, silent
from labctl.engine.instances import instance_lock, list_instances
from labctl.errors import LockHeld, RemoveError
from labctl.host.places import instances_directory
from labctl.host.warmstarts import size_on_disk


@dataclass(frozen=True)
class Leftover:
    """Something that `gc` would remove. `kind`: directory (no record), dead (an instance whose processes are gone), lock."""

    kind: str
    name: str
    path: Path
    size_bytes: int


def find_leftovers(*, dead: bool) -> tuple[Leftover, ...]:
    """What can be removed now. Dead instances keep their disks until someone says that they are not wanted."""
    root = instances_directory()
    known = {record.id: record for record in list_instances()}
    found = [
        Leftover("directory", place.name, place, size_on_disk(place))
        for place in sorted(root.glob("*"))
        if place.is_dir() and not place.is_symlink() and not (place / "instance.json").exists() and (place / "journal.jsonl").exists()
    ]
    if dead:
        found += [
            Leftover("dead", name, record.directory, size_on_disk(record.directory)) for name, record in known.items() if not record.alive
        ]
    locks = (lock for lock in sorted(root.glob(".*.lock")) if not (root / lock.name[1:].removesuffix(".lock")).exists())
    return (*found, *(Leftover("lock", lock.name, lock, 0) for lock in locks))


def collect(leftovers: tuple[Leftover, ...], report: Reporter = silent) -> tuple[Leftover, ...]:
    """Remove `leftovers`; what another labctl works on now is passed over. Returns what was removed; `RemoveError` names the rest."""
    removed, failed = [], []
    records = {record.id: record for record in list_instances()}
    for leftover in leftovers:
        try:
            if leftover.kind == "dead":
                if not records[leftover.name].alive:
                    down(records[leftover.name], report)
            elif leftover.kind == "directory":
                with instance_lock(leftover.name, "collect", wait_s=0):
                    shutil.rmtree(leftover.path)
            else:
                leftover.path.unlink(missing_ok=True)
            removed.append(leftover)
        except LockHeld:
            continue
        except OSError as refused:
            failed.append(f"{leftover.path} ({refused.strerror})")
    if failed:
        raise RemoveError("not all could be removed", why=", ".join(failed))
    return tuple(removed)

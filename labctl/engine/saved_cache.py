"""The cache of saved machines: what it holds, what is used, and its limit. The least recently used goes first.

Owns the question what may go: nothing that an instance's disks, a checkpoint that stays or a person's point lies on.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from labctl.engine.checkpoints import checkpoint_store
from labctl.engine.instances import list_instances
from labctl.engine.points import list_points
from labctl.engine.warm import warm_store
from labctl.errors import UsageError
from labctl.host.warmstarts import size_on_disk

DEFAULT_LIMIT_GIB = 20


def limit_bytes() -> int:
    """The limit of saved machines on disk: `LABCTL_SAVED_GIB`, 20 if it is not set. `UsageError` for what is no number."""
    word = os.environ.get("LABCTL_SAVED_GIB", str(DEFAULT_LIMIT_GIB))
    try:
        return int(float(word) * 2**30)
    except ValueError:
        raise UsageError(f"LABCTL_SAVED_GIB is '{word}', no number", hint="as in LABCTL_SAVED_GIB=20") from None


def trim(limit: int | None = None) -> tuple[Path, ...]:
    """Remove what is over the limit and not used; the directories that went."""
    allowed = limit_bytes() if limit is None else limit
    stores = (checkpoint_store(), warm_store())
    places = sorted((place for store in stores for place in store.listed()), key=lambda place: (place / "whole").stat().st_mtime)
    total = sum(size_on_disk(place) for place in places)
    gone: list[Path] = []
    for place in places:
        if total <= allowed:
            break
        if place not in used_places(gone):
            total -= size_on_disk(place)
            warm_store().remove(place)
            gone.append(place)
    return tuple(gone)


def used_places(gone: Iterable[Path] = ()) -> frozenset[Path]:
    """Directories of saved machines that something lies on."""
    records = list_instances()
    files = [Path(file) for record in records for node in record.nodes for file in node.chain]
    files += [Path(file) for point in list_points() for file in _chains(point.place)]
    files += [Path(file) for place in checkpoint_store().listed() if place not in gone for file in _chains(place)]
    checkpoints = {Path(record.checkpoint) for record in records if record.checkpoint}
    return frozenset({parent for file in files for parent in file.parents} | checkpoints)


def _chains(place: Path) -> list[str]:
    """The files that the machines of a checkpoint lie on."""
    chains: dict[str, list[str]] = json.loads((place / "about.json").read_text())["chains"]
    return [file for chain in chains.values() for file in chain[1:]]

"""Directories in the making: noted before they are made, owned by the process that makes them, whole under their name or not there.

    <root>/<name>            the directory, until it is renamed to what it becomes
    <root>/.<name>.making    its note: a lock that the maker holds, and that says who it is and what is made

Whose note is not held any more was killed: `dead_makings` finds what is left. Ownership is the note's, never the look of a name.
"""

import contextlib
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import LockHeld
from labctl.host.locks import is_held, is_lock, lock

NOTE = ".making"
Remove = Callable[[Path], None]


@dataclass(frozen=True)
class DeadMaking:
    """What a killed maker left: its note, and the directory if that was made and not yet renamed."""

    note: Path
    place: Path


def remove_tree(place: Path) -> None:
    """Remove a directory and all in it; nothing if it is not there."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(place)


def new_name(what: str) -> str:
    return f"{what}-{secrets.token_hex(4)}"


@contextlib.contextmanager
def making(place: Path, what: str, *, remove: Remove = remove_tree) -> Iterator[Path]:
    """An empty directory of one's own to make `what` in. What is left of it after the block is removed; rename it to keep it."""
    with lock(_note_of(place), f"make {what}"):
        remove(place)
        place.mkdir(mode=0o700)
        try:
            yield place
        finally:
            if place.exists():
                remove(place)


def is_whole(place: Path) -> bool:
    """Whether `place` is no directory in the making, dead or alive."""
    return not _note_of(place).exists()


def live_makings(root: Path) -> tuple[Path, ...]:
    """Directories below `root` that somebody makes something in now."""
    return tuple(_place_of(note) for note in _notes(root) if is_held(note))


def dead_makings(root: Path) -> tuple[DeadMaking, ...]:
    """What killed makers left below `root`."""
    return tuple(DeadMaking(note, _place_of(note)) for note in _notes(root) if not is_held(note))


def sweep_making(dead: DeadMaking, *, remove: Remove = remove_tree) -> bool:
    """Remove what a killed maker left; False if somebody is at work there now."""
    try:
        with lock(dead.note, f"make room of {dead.place.name}"):
            remove(dead.place)
    except LockHeld:
        return False
    return True


def remove_whole(place: Path, *, remove: Remove = remove_tree) -> None:
    """Remove a finished directory so that no half of it is ever found under its name: it changes into one in the making first."""
    with making(place.with_name(new_name("gone")), f"room of {place.name}", remove=remove) as grave:
        place.rename(grave)  # over an empty directory, rename(2)


def _notes(root: Path) -> list[Path]:
    return [note for note in sorted(root.glob(f".*{NOTE}")) if is_lock(note)]


def _note_of(place: Path) -> Path:
    return place.with_name(f".{place.name}{NOTE}")


def _place_of(note: Path) -> Path:
    return note.with_name(note.name[1:].removesuffix(NOTE))

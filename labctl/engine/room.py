"""Whether a lab fits this machine, asked before anything starts: memory and disk, with what is missing and what would fit.

Owns the question, and the words for a disk that becomes full while something is made; what a lab needs is `lab/plan`'s estimate, what
the machine has is read by `host/machine` and `host/room`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from labctl.errors import HostError, LabError, NoRoom
from labctl.host.machine import available_memory_mib
from labctl.host.places import cache_directory, state_directory
from labctl.host.room import FULL, MAKE_ROOM, check_place, explain, free_mib, speaks_of_full_disk
from labctl.lab.plan import Room, room_for
from labctl.lab.topology import Lab

__all__ = ["check_places", "explain", "free_room", "naming_room", "refuse_without_room"]

KEPT_FREE_MIB = 512  # for the host itself


def free_room() -> Room:
    """MiB of memory that can be used without swapping, and of disk in the state directory."""
    return Room(available_memory_mib(), free_mib(state_directory()))


def refuse_without_room(lab: Lab) -> None:
    """`HostError` that says how much is missing, of what, and how many nodes would fit."""
    needed, free = room_for(lab), free_room()
    usable = free.memory_mib - KEPT_FREE_MIB
    if needed.memory_mib > usable:
        fitting = max(0, int(len(lab.nodes) * usable / needed.memory_mib))
        raise HostError(
            f"{lab.name} does not fit into the memory that is free here",
            why=f"its {len(lab.nodes)} nodes need up to {needed.memory_mib} MiB, and {needed.memory_mib - usable} of these are not free",
            hint=f"about {fitting} such nodes fit; give nodes less `memory:`, or end other labs: labctl down",
        )
    if needed.disk_mib > free.disk_mib:
        raise NoRoom(
            f"{lab.name} does not fit on the disk",
            why=f"about {needed.disk_mib} MiB are needed in {state_directory()}, {free.disk_mib} MiB are free",
            hint=MAKE_ROOM,
        )


def check_places() -> None:
    """`HostError` unless labctl's own directories can be made and written by this user."""
    for place in (state_directory(), cache_directory()):
        check_place(place)


@contextmanager
def naming_room(lab: Lab) -> Iterator[None]:
    """A disk that becomes full in the block is told as that, with the room that the lab needs and what is left of it."""
    try:
        yield
    except NoRoom:
        raise
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise _no_room(lab, str(error)) from error
    except LabError as error:
        if not speaks_of_full_disk(f"{error.what} {error.why}"):
            raise
        raise _no_room(lab, f"{error.what}: {error.why}") from error


def _no_room(lab: Lab, what: str) -> NoRoom:
    needed = room_for(lab).disk_mib
    free = "; ".join(f"free in {place}: {free_mib(place)} MiB" for place in (state_directory(), cache_directory()))
    return NoRoom(f"a disk became full while {lab.name} was brought up", why=f"{what}\nit needs about {needed} MiB; {free}", hint=MAKE_ROOM)

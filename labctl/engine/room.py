"""Whether a lab fits this machine, asked before anything starts: memory and disk, with what is missing and what would fit.

Owns the question; what a lab needs is `lab/plan`'s estimate, what the machine has is read from /proc and statvfs(3).
"""

import os
from pathlib import Path

from labctl.errors import HostError
from labctl.host.places import state_directory
from labctl.lab.plan import Room, room_for
from labctl.lab.topology import Lab

KEPT_FREE_MIB = 512  # for the host itself


def free_room() -> Room:
    """MiB of memory that can be used without swapping, and of disk in the state directory."""
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    memory = int(lines["MemAvailable"].split()[0]) // 1024
    place = state_directory()
    while not place.exists():
        place = place.parent
    disk = os.statvfs(place)
    return Room(memory, disk.f_bavail * disk.f_frsize // 2**20)


def refuse_without_room(lab: Lab) -> None:
    """`HostError` that says how much is missing, of what, and how many nodes would fit."""
    needed, free = room_for(lab), free_room()
    usable = free.memory_mib - KEPT_FREE_MIB
    if needed.memory_mib > usable:
        fitting = int(len(lab.nodes) * usable / needed.memory_mib)
        raise HostError(
            f"{lab.name} does not fit into this machine's memory",
            why=f"its {len(lab.nodes)} nodes need up to {needed.memory_mib} MiB, and {needed.memory_mib - usable} of these are not free",
            hint=f"about {fitting} such nodes fit; give nodes less `memory:`, or end other labs: labctl down",
        )
    if needed.disk_mib > free.disk_mib:
        raise HostError(
            f"{lab.name} does not fit on the disk",
            why=f"about {needed.disk_mib} MiB are needed in {state_directory()}, {free.disk_mib} MiB are free",
            hint="labctl gc, labctl image prune",
        )

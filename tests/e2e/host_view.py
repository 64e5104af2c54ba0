"""What the host sees of labctl: processes, mounts and files, asked of /proc and not of labctl."""

import os
from pathlib import Path


def processes_of(place: Path) -> list[str]:
    """Command lines of this user's living processes that belong to instances below `place`, their QEMUs and libvirtds included."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid != os.getuid() or process.name == str(os.getpid()):
                continue
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            mounts = (process / "mountinfo").read_text()
        except OSError:
            continue
        if str(place) in words or str(place) in mounts:
            found.append(f"{process.name} {words[:200]}")
    return found


def network_devices() -> set[str]:
    """Names of the host's own network interfaces."""
    return {device.name for device in Path("/sys/class/net").iterdir()}


def mounts() -> set[str]:
    """Mount points in the host's own mount namespace."""
    return {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}


def files_below(place: Path) -> set[str]:
    return {str(file.relative_to(place)) for file in place.rglob("*")}


def zombies_below(parent: int) -> list[str]:
    """Children of `parent` that ended and were not reaped, by proc(5)'s stat: an instance's first process adopts its dead QEMUs."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            head, _, rest = stat.read_text().rpartition(")")
        except OSError:
            continue
        state, ppid = rest.split()[:2]
        if state == "Z" and int(ppid) == parent:
            found.append(head)
    return found

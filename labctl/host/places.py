"""Where labctl keeps things on this machine, by the XDG base directory specification (platformdirs reads the variables).

Owns the four directories; what lies in them belongs to the rooms that make it.
"""

import os
from pathlib import Path

import platformdirs

from labctl.errors import HostError


def state_directory() -> Path:
    """Instances: what must survive a reboot."""
    return platformdirs.user_state_path("labctl", appauthor=False)


def instances_directory() -> Path:
    return state_directory() / "instances"


def scratch_directory() -> Path:
    """Machines that make images: short-lived, swept by `gc`."""
    return state_directory() / "scratch"


def cache_directory() -> Path:
    """Images and probes: what can be made again."""
    return platformdirs.user_cache_path("labctl", appauthor=False)


def images_directory() -> Path:
    return cache_directory() / "images"


def extra_images_directory() -> Path | None:
    """A second, read-only layer directory, for classrooms: `LABCTL_IMAGES`."""
    place = os.environ.get("LABCTL_IMAGES", "")
    return Path(place).expanduser().resolve() if place else None


def libvirt_cache_directory() -> Path:
    """libvirt's own probe cache: shared by all instances, since filling it costs 4 s."""
    return cache_directory() / "libvirt"


def runtime_directory() -> Path:
    """A private directory with a short path, for sockets that ssh makes: $XDG_RUNTIME_DIR/labctl or /tmp/labctl-UID."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    place = Path(runtime) / "labctl" if runtime and os.access(runtime, os.W_OK) else Path("/tmp") / f"labctl-{os.getuid()}"  # noqa: S108
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = place.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise HostError(f"{place} is not yours alone", why="sockets in it could be somebody else's", hint=f"rm -r {place}")
    return place

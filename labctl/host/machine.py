"""The machine as hardware and as a place: processor, the two devices, memory, disk, sockets, and whether it is a container.

Each probe reads what its arguments name and returns one Finding; none changes anything. What an account may do is `host/account`'s,
which programs there are is `host/software`'s, whether KVM really works is `host/accelerator`'s.
"""

import grp
import os
import platform
import shutil
import socket
import stat
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from labctl.host.finding import Argv, Finding, State
from labctl.host.room import filesystem_type, untested_filesystem, why_closed

PROC = Path("/proc")
ROOT = Path("/")
SMALLEST_LAB_MIB = 1024  # three nodes of 256 MiB and what QEMU takes beside them
COMFORTABLE_MIB = 2048
CACHED = ("active_file", "inactive_file")  # of memory.stat
FIRST_IMAGE_GIB = 2.0  # package cache, tar, file system and overlay of the first build
COMFORTABLE_GIB = 6.0
CONTAINER_FLAGS = (
    "--device /dev/kvm --device /dev/net/tun --security-opt seccomp=unconfined "
    "--security-opt apparmor=unconfined --security-opt systempaths=unconfined"
)
RUNNERS = {"GITHUB_ACTIONS": "GitHub Actions", "GITLAB_CI": "GitLab CI", "CI": "a CI service"}


def probe_processor(cpuinfo: Path = PROC / "cpuinfo", architecture: str = "") -> Finding:
    """x86-64 is needed; vmx or svm (hardware virtualisation) make it fast."""
    architecture = architecture or platform.machine()
    if architecture != "x86_64":
        return Finding("cpu", State.FAIL, f"this processor is {architecture}", "labctl's images are for x86_64", "use an x86_64 machine")
    flags = {flag for line in cpuinfo.read_text().splitlines() if line.startswith("flags") for flag in line.partition(":")[2].split()}
    if found := flags & {"vmx", "svm"}:
        return Finding("cpu", State.OK, f"the processor virtualises in hardware ({', '.join(sorted(found))})")
    return Finding(
        "cpu",
        State.WARN,
        "the processor shows neither vmx nor svm",
        "nodes are emulated, some five to ten times slower",
        "switch on virtualisation in the firmware, or nested virtualisation where this is a virtual machine itself",
    )


def mode_of(device: Path) -> str:
    """Owner, group and permissions as in `root:kvm 0660`."""
    facts = device.stat()
    try:
        group = grp.getgrgid(facts.st_gid).gr_name
    except KeyError:
        group = str(facts.st_gid)
    return f"{'root' if facts.st_uid == 0 else facts.st_uid}:{group} {stat.S_IMODE(facts.st_mode):04o}"


def opens(device: Path) -> bool:
    """Whether this very process can open it for reading and writing."""
    try:
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def probe_kvm(user: str, groups: Sequence[str], device: Path = Path("/dev/kvm")) -> Finding:
    """`groups`: those that `user` is in by the group file, whether or not this session has them yet."""
    if not device.exists():
        hint = _hint_for_missing(device, "modprobe kvm")
        return Finding("kvm-device", State.WARN, f"{device} does not exist", "nodes are emulated", hint)
    mode = mode_of(device)
    if opens(device):
        return Finding("kvm-device", State.OK, f"{device} opens ({mode})", "whether it runs code is told by the accelerator's proof")
    fix: list[Argv] = [] if _group_exists("kvm") else [("groupadd", "-r", "kvm")]
    if not mode.endswith(("root:kvm 0660", "root:kvm 0666")):
        fix += [("chown", "root:kvm", str(device)), ("chmod", "0660", str(device))]
    if "kvm" not in groups:
        fix.append(("usermod", "-aG", "kvm", user))
    why = "nodes are emulated until it opens; the distribution's default is root:kvm 0660"
    hint = "labctl doctor --fix, then log in again"
    if not fix:
        why, hint = "nodes are emulated until it opens", "log in again: this session began before you were in group kvm"
    return Finding("kvm-device", State.WARN, f"{device} cannot be opened by {user} ({mode})", why, hint, tuple(fix))


def probe_tun(device: Path = Path("/dev/net/tun")) -> Finding:
    """Every port of a node is a tap."""
    if not device.exists():
        make = (("mkdir", "-p", str(device.parent)), ("mknod", str(device), "c", "10", "200"), ("chmod", "0666", str(device)))
        hint = _hint_for_missing(device, "modprobe tun")
        return Finding("tun-device", State.FAIL, f"{device} does not exist", "no cable can be made without it", hint, make)
    mode = mode_of(device)
    if opens(device):
        return Finding("tun-device", State.OK, f"{device} opens ({mode})")
    why = "the distribution's default is 0666; no cable can be made until it opens"
    fix = (("chmod", "0666", str(device)),)
    return Finding("tun-device", State.FAIL, f"{device} cannot be opened ({mode})", why, "labctl doctor --fix", fix)


def _group_exists(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def _hint_for_missing(device: Path, command: str) -> str:
    return f"in a container: start it with --device {device}; elsewhere: sudo {command}"


def probe_memory(free_mib: int) -> Finding:
    """Whether what is free now (`available_memory_mib`) is enough for labs."""
    what = f"{free_mib} MiB of memory are free"
    if free_mib >= COMFORTABLE_MIB:
        return Finding("memory", State.OK, what)
    state = State.FAIL if free_mib < SMALLEST_LAB_MIB else State.WARN
    why = f"the smallest lab takes about {SMALLEST_LAB_MIB} MiB, a usual one {COMFORTABLE_MIB} MiB"
    return Finding("memory", state, what, why, "close other programs; `labctl status` shows labs that run")


def available_memory_mib(meminfo: Path = PROC / "meminfo", cgroup: Path = PROC / "self/cgroup", root: Path = Path("/sys/fs/cgroup")) -> int:
    """What can be used without swapping: of this machine, or of its control group's limit if less is left of that."""
    lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    free_mib, limit_mib = int(lines["MemAvailable"].split()[0]) // 1024, memory_limit_mib(cgroup, root)
    return free_mib if limit_mib is None else min(free_mib, limit_mib)


def memory_limit_mib(cgroup: Path, root: Path) -> int | None:
    """What is left of the tightest memory.max from this process's control group upwards (version 2, cgroups(7)), if there is one."""
    lines = cgroup.read_text().splitlines() if cgroup.exists() else []
    own = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), None)
    if own is None:
        return None
    left = []
    for place in (root / own, *(root / own).parents):
        maximum = place / "memory.max"
        if place.is_relative_to(root) and maximum.exists() and (most := maximum.read_text().strip()) != "max":
            left.append((int(most) - _taken(place)) // (1 << 20))
    return min(left, default=None)


def _taken(group: Path) -> int:
    """Bytes of a control group's memory that the kernel cannot take back: without cached files, as MemAvailable is counted."""
    cached = (line.split() for line in (group / "memory.stat").read_text().splitlines())
    return int((group / "memory.current").read_text()) - sum(int(size) for name, size in cached if name in CACHED)


def probe_disk(id: str, directory: Path, purpose: str) -> Finding:
    """Free room where `directory` lies or will lie."""
    there = next(place for place in (directory, *directory.parents) if place.exists())
    free_gib = shutil.disk_usage(there).free / (1 << 30)
    what = f"{free_gib:.1f} GiB of disk are free for {purpose} ({directory})"
    if not os.access(there, os.W_OK):
        what = f"{directory} cannot be made or written"
        return Finding(id, State.FAIL, what, why_closed(there) or f"{there} is closed to you", "give it to your user (chown)")
    if free_gib >= COMFORTABLE_GIB:
        return Finding(id, State.OK, what)
    state = State.FAIL if free_gib < FIRST_IMAGE_GIB else State.WARN
    why = f"the first image takes {FIRST_IMAGE_GIB:g} GiB while it is built; labs of many roles want {COMFORTABLE_GIB:g} GiB"
    return Finding(id, state, what, why, "labctl image prune, labctl gc, or make room")


def probe_filesystem(id: str, directory: Path, purpose: str) -> Finding:
    """On which kind of file system `directory` lies or will lie: over a network nobody has tried it."""
    name = untested_filesystem(filesystem_type(directory))
    if not name:
        return Finding(id, State.OK, f"the file system for {purpose} is a local one")
    why = "sockets, locks and sparse files over a network are untested with labctl"
    return Finding(id, State.WARN, f"{directory} lies on {name}: untested", why, "set XDG_STATE_HOME and XDG_CACHE_HOME to a local disk")


def probe_sockets(directory: Path) -> Finding:
    """Whether Unix sockets can be made and reached below `directory`, however long its path: a real one is, as `up` does it."""
    place = tempfile.mkdtemp(prefix="socket-", dir=directory)
    longest = len(os.fsencode(str(directory))) + len("/instances/") + 40 + len("/run/libvirt/libvirt-sock")
    opened = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
            server.bind(f"/proc/self/fd/{opened}/s")
            server.listen()
            client.connect(f"/proc/self/fd/{opened}/s")
    except OSError as refused:
        hint = "set XDG_STATE_HOME to a directory on a local file system"
        return Finding("sockets", State.FAIL, f"no Unix socket can be used in {directory}", str(refused), hint)
    finally:
        os.close(opened)
        shutil.rmtree(place)
    return Finding("sockets", State.OK, f"sockets work in {directory} (paths up to {longest} bytes, opened by a short one)")


def probe_surroundings(environment: Mapping[str, str], root: Path = ROOT) -> Finding:
    """A container or a hosted CI runner: both work, with flags that must be given from outside."""
    container = next((name for file, name in ((".dockerenv", "Docker"), ("run/.containerenv", "Podman")) if (root / file).exists()), "")
    cgroup = root / "proc/1/cgroup"
    if not container and cgroup.exists() and any(word in cgroup.read_text() for word in ("docker", "kubepods", "containerd", "/lxc/")):
        container = "a container engine"
    if not container:
        container = environment.get("container", "")
    runner = next((name for variable, name in RUNNERS.items() if environment.get(variable)), "")
    if container:
        what = f"this is a container ({container})" + (f" on {runner}" if runner else "")
        hint = f"if a line of this report fails: start the container with {CONTAINER_FLAGS}"
        return Finding("surroundings", State.OK, what, "namespaces in a container need flags that only its starter can give", hint)
    if runner:
        hint = "labctl doctor --fix first: a runner's /dev/kvm is often closed to the job's user"
        return Finding("surroundings", State.OK, f"this is a machine of {runner}, no container", hint=hint)
    return Finding("surroundings", State.OK, "this is neither a container nor a hosted CI runner")

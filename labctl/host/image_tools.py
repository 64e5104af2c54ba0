"""What the makers of images share: a user namespace with the caller's subordinate ids, places for large trees, failures explained.

Owns how such a namespace is entered and what is left of it (nothing). What is built in it is the caller's.
"""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from labctl.errors import CommandError, HostError, NoRoom, StepError, TimedOut
from labctl.host.machine import available_memory_mib
from labctl.host.run import Result, clean_environment, failed, run, start, stop

Tell = Callable[[str], None]  # one line for a person about what goes on now
AS_ROOT = ("unshare", "--map-root-user", "--map-auto", "--mount", "--pid", "--kill-child", "--fork")
TREE_S = 900.0
LOOK_S = 0.5
# Files in a build directory that tell the sweep, after the builder was killed, what else there is: a scratch directory, a session.
SCRATCH_NOTE, SESSION_NOTE = "scratch", "session"


_interrupted = threading.Event()


def interrupt_builds() -> None:
    """Stop what the other threads of this process build: Ctrl-C reaches only the main one. Until `allow_builds`."""
    _interrupted.set()


def allow_builds() -> None:
    """Builds go on again, for a process that does after one failed. Only when all that were to be stopped have ended."""
    _interrupted.clear()


def lines_of(file: Path) -> tuple[str, ...]:
    """The lines of a list, comments and empty ones left out."""
    return tuple(line.strip() for line in file.read_text().splitlines() if line.strip() and not line.startswith("#"))


def run_long(argv: Sequence[str], build: Path, *, timeout_s: float, env: Mapping[str, str] | None = None) -> Result:
    """As `run`, for a program of minutes: it stops when builds are interrupted. Its session is noted in `build`.

    What it makes is closed to nobody by the caller's umask: it becomes the files of an image, and subordinate ids must reach it.
    """
    process = start(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, umask=0o022)
    deadline = time.monotonic() + timeout_s
    try:
        (build / SESSION_NOTE).write_text(f"{process.pid} {_started(process.pid)}")
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                stdout, stderr = process.communicate(timeout=LOOK_S)
                break
            if _interrupted.is_set():
                raise StepError("the build was interrupted")
            if time.monotonic() > deadline:
                raise TimedOut(f"{argv[0]} did not end within {timeout_s:g} s", hint="try again")
    finally:
        stop(process)
    (build / SESSION_NOTE).unlink(missing_ok=True)
    result = Result(tuple(argv), process.returncode, stdout, stderr)
    if result.status != 0:
        raise failed(result)
    return result


def run_as_root(script: str, build: Path, *arguments: str, timeout_s: float = TREE_S) -> Result:
    """Run a shell script in `build`, as root of a user namespace of its own: mounts made in it, and its processes, end with it."""
    return run_long([*AS_ROOT, "sh", "-euc", f'cd "$1"; shift\n{script}', "sh", str(build), *arguments], build, timeout_s=timeout_s)


def _stat_fields(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third on (proc_pid_stat(5)); empty if the process is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []


def _started(pid: int) -> str:
    return (_stat_fields(pid) or [""] * 20)[19]


def kill_session(build: Path) -> None:
    """End what a killed builder left running: all processes of the session that it noted, whoever they are in their namespace."""
    try:
        leader, started = (build / SESSION_NOTE).read_text().split()
    except (OSError, ValueError):
        return
    if _started(int(leader)) not in ("", started):
        return  # the number belongs to another process now
    for pid in [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]:
        if (_stat_fields(pid) or [""] * 4)[3] == leader:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def tree_place(size_bytes: int) -> str:
    """Whether a tree of this size, changed and copied once, goes to memory ("yes", several times as fast) or to the disk ("no")."""
    return "yes" if available_memory_mib() > 3 * size_bytes // 2**20 + 1024 else "no"


def scratch_place() -> Path:
    """Where trees of subordinate ids are made: homes are closed to those."""
    return Path(os.environ.get("TMPDIR", "/var/tmp"))


@contextlib.contextmanager
def scratch_directory(build: Path) -> Iterator[Path]:
    """A directory that subordinate ids can reach, gone with the block. Its name is noted in `build` first, for the sweep after a kill."""
    place = scratch_place() / f"labctl-build-{secrets.token_hex(6)}"
    (build / SCRATCH_NOTE).write_text(str(place))
    place.mkdir()
    place.chmod(0o711)  # mkdir's mode would be cut by the umask
    try:
        yield place
    finally:
        remove_tree(place)
        (build / SCRATCH_NOTE).unlink(missing_ok=True)


def remove_tree(place: Path) -> None:
    """Remove a tree, whether files of subordinate ids are in it or not. Nothing if it is not there."""
    with contextlib.suppress(OSError):
        shutil.rmtree(place)
    if place.exists():
        run([*AS_ROOT, "rm", "-rf", "--one-file-system", "--", str(place)], timeout_s=300)


def remove_build(build: Path) -> None:
    """Remove a build directory, with what it says its builder left elsewhere."""
    kill_session(build)
    with contextlib.suppress(OSError, UnicodeDecodeError):
        scratch = Path((build / SCRATCH_NOTE).read_text())
        if scratch.name.startswith("labctl-build-") and scratch.stat().st_uid == os.getuid():
            remove_tree(scratch)
    remove_tree(build)


def require_room(place: Path, needed_mib: int, what: str) -> None:
    """`HostError` with place and amount if fewer than `needed_mib` are free at `place`."""
    free_mib = shutil.disk_usage(place).free // 2**20
    if free_mib < needed_mib:
        raise NoRoom(
            f"no room {what}", why=f"{free_mib} MiB are free in {place}, {needed_mib} MiB are needed",
            hint="labctl image prune, or free some room there",
        )  # fmt: skip


def mmdebstrap(arguments: Sequence[str], build: Path, timeout_s: float, *, no_newer_than: int | None = None) -> None:
    """Run mmdebstrap without privilege, with a scratch directory for its tree. A failure says what to do about the common reasons.

    `no_newer_than`: seconds since 1970; what would bear a later date bears this one, so that a second run gives the same tree.
    """
    with scratch_directory(build) as scratch:
        environment = {**clean_environment(), "TMPDIR": str(scratch), "INITRD": "No"}  # INITRD: Debian's own would be made for nothing
        if no_newer_than is not None:
            environment["SOURCE_DATE_EPOCH"] = str(no_newer_than)
        try:
            run_long(["mmdebstrap", "--mode=unshare", "--format=tar", *arguments], build, env=environment, timeout_s=timeout_s)
        except CommandError as failure:
            raise explained(failure, build) from failure


NETWORK = "check the network and try again; a proxy is taken from apt's settings"
REASONS = {
    "Temporary failure resolving": ("names of package servers cannot be resolved", NETWORK),
    "Could not connect": ("the package server does not answer", NETWORK),
    "Failed to fetch": ("a package could not be fetched", NETWORK),
    "Unable to locate package": ("there is no such package in Debian", "check the names in the role or the lab file"),
    "has no installation candidate": ("there is no such package in Debian", "check the names in the role or the lab file"),
    "/etc/subuid": ("this user has no subordinate ids", "labctl doctor --fix"),
    "newuidmap": ("user namespaces with subordinate ids do not work here", "labctl doctor"),
    "uid_map": ("user namespaces with subordinate ids do not work here", "labctl doctor"),
    "unshare failed": ("user namespaces do not work here", "labctl doctor"),
}


def explained(failure: CommandError, build: Path) -> HostError | CommandError:
    """The failure in the words of a person, where its reason is a known one."""
    if "No space left on device" in failure.output:
        return no_room(build, failure.output)
    for sign, (what, hint) in REASONS.items():
        if sign in failure.output:
            return HostError(f"cannot make the image: {what}", why=failure.output, hint=hint)
    return failure


def no_room(build: Path, why: str) -> NoRoom:
    free = ", ".join(f"{shutil.disk_usage(place).free // 2**20} MiB in {place}" for place in (build.parent, scratch_place()))
    why = f"{why.splitlines()[-1]} (free: {free})"
    return NoRoom("no room to make the image", why=why, hint="labctl image prune, or free some room there")

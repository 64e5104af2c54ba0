"""The namespaces of one instance: user, network, PID and mount, owned by their first process, rootless.

Owns how they are made, entered and ended (user_namespaces(7), unshare(1)). Knows nothing of labs or libvirt: it gives the pid
of the first process and the argument tuple with which a command runs inside.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import HostError, RemoveError
from labctl.host.run import clean_environment, start, stop

HERE = Path(__file__).parent
START_S = 20.0
STAY = b"stay\n"
INNER_ID = 1000  # never 0: libvirt would believe that it is privileged and die on setgroups
SHORT_PLACES = ("/srv", "/media", "/mnt", "/opt")  # empty by the FHS, there on every distribution, at most 15 bytes


@dataclass(frozen=True)
class FirstProcess:
    """The process that owns an instance's namespaces. `started` (clock ticks since boot) tells it from a later one with its pid."""

    pid: int
    started: int

    @property
    def alive(self) -> bool:
        return start_time(self.pid) == self.started


def start_time(pid: int) -> int | None:
    """Start time of a living process in clock ticks since boot, proc(5) field 22; None if there is none or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def short_place(*needed: Path) -> str:
    """A directory to cover inside the namespaces: one that holds none of the paths that are `needed` there."""
    for place in SHORT_PLACES:
        if Path(place).is_dir() and not any(path.is_relative_to(place) for path in needed):
            return place
    raise HostError(
        "no place for the instance's short path", why=f"each of {', '.join(SHORT_PLACES)} is missing or holds labctl's own files"
    )


def start_namespace(directory: Path, short: str, remember: Callable[[FirstProcess], None] = lambda _: None) -> FirstProcess:
    """Make the namespaces and return their first process, ready. `HostError` where the kernel refuses.

    It is let go only after `remember`: should this process be killed before it knows whom it has started, the namespaces end too.
    """
    process, first = _start(directory, short)
    assert process.stdin is not None
    try:
        with process.stdin as leash:
            remember(first)
            leash.write(STAY)
    except BrokenPipeError as gone:
        raise HostError("the instance's first process died at once", why="it was killed, or ran out of memory") from gone
    return first


@contextmanager
def borrowed_namespace(directory: Path, short: str) -> Iterator[FirstProcess]:
    """Namespaces for the block: they end with it, or with this process, however that ends."""
    process, first = _start(directory, short)
    try:
        yield first
    finally:
        kill_namespace(first)
        stop(process)


def _start(directory: Path, short: str) -> "tuple[subprocess.Popen[bytes], FirstProcess]":
    shape = f"--user --map-user={INNER_ID} --map-group={INNER_ID} --net --pid --mount --mount-proc --fork --kill-child --keep-caps"
    argv = ["unshare", *shape.split(), "/usr/bin/python3", "-I", "-S", str(HERE / "first_process.py"), str(directory), short]
    log = directory / "log" / "first-process.log"
    with log.open("ab") as said:
        process = start(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said)
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        if process.stdout.read(6) == b"ready\n":
            process.stdout.close()
            return process, _child_of(process.pid)
        time.sleep(0.005)
    stop(process)
    raise HostError(
        "this machine does not let you make namespaces",
        why=log.read_text(errors="replace").strip()[-500:] or "the first process did not get ready",
        hint="labctl doctor says what to change",
    )


def _child_of(pid: int) -> FirstProcess:
    child = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    started = start_time(child)
    if started is None:
        raise HostError("the instance's first process died at once")
    return FirstProcess(child, started)


def inside(first: FirstProcess, argv: Sequence[str]) -> tuple[str, ...]:
    """The argument tuple that runs `argv` in the namespaces, with their capabilities (0.03 s)."""
    return ("/usr/bin/python3", "-I", "-S", str(HERE / "enter.py"), str(first.pid), *argv)


def inside_environment(short: str, libvirt_cache: Path) -> dict[str, str]:
    """The environment of programs inside: libvirt finds all of its places below the short path, its probe cache outside."""
    return clean_environment(
        {
            "HOME": short,
            "XDG_RUNTIME_DIR": f"{short}/run",
            "XDG_CONFIG_HOME": f"{short}/config",
            "XDG_DATA_HOME": f"{short}/data",
            "XDG_CACHE_HOME": str(libvirt_cache),
        }
    )


def kill_namespace(first: FirstProcess, *, timeout_s: float = 10.0) -> None:
    """End everything inside by one SIGKILL and wait until the first process is gone. Nothing if it is gone already."""
    deadline = time.monotonic() + timeout_s
    while first.alive:
        try:
            os.kill(first.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        if time.monotonic() > deadline:
            raise RemoveError(f"process {first.pid} does not end", why="SIGKILL was sent and it is still there")
        time.sleep(0.005)


def python() -> str:
    """The interpreter that labctl itself runs in, with its libraries."""
    return sys.executable

"""Locks between labctl processes: flock(2) on a file that says who holds it. The kernel lets go when the holder dies.
Other programs' pid files are looked at too, which they hold by fcntl(2).

Owns waiting and its end, and the life of the file: it is there before what it protects, goes with its last holder, and stays behind
only when that one was killed. What a lock protects is the caller's.
"""

import contextlib
import fcntl
import os
import re
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from labctl.errors import LockHeld

LOOK_S = 0.05
SIGN_S = 1.0  # a new holder has written who it is long before
FLOCK = "hhqqi"  # fcntl(2), struct flock: type, whence, start, length, pid
HOLDER = re.compile(r"process (\d+) \(.*\)\n?", re.DOTALL)


@contextlib.contextmanager
def lock(file: Path, doing: str, *, wait_s: float = 0.0, keep: Callable[[], bool] = bool) -> Iterator[None]:
    """Hold `file` while the block runs. `LockHeld` names the holder if it is not free within `wait_s`.

    The file goes with the block unless `keep()` says that it stays, as evidence of who made what lies beside it.
    """
    handle = _take(file, fcntl.LOCK_EX, doing, wait_s)
    try:
        _sign(handle, doing)
        yield
    finally:
        if not keep():
            _unlink(handle, file)
        os.close(handle)


@contextlib.contextmanager
def use(file: Path, doing: str, *, wait_s: float = 0.0) -> Iterator[None]:
    """Hold `file` together with others who `use` it, while nobody holds its `lock`."""
    handle = _take(file, fcntl.LOCK_SH, doing, wait_s)
    try:
        _sign(handle, doing)
        yield
    finally:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the last one to use it
            _unlink(handle, file)
        os.close(handle)


def is_held(file: Path) -> bool:
    """Whether a living process holds `file`; False if there is no such file."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(handle)


def is_pid_file_held(file: Path) -> bool:
    """Whether the daemon that wrote this pid file lives, in whatever pid namespace: it holds a record lock on it (fcntl(2), F_GETLK)."""
    try:
        with file.open("rb") as opened:
            asked = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            return bool(struct.unpack(FLOCK, fcntl.fcntl(opened, fcntl.F_GETLK, asked))[0] != fcntl.F_UNLCK)
    except FileNotFoundError:
        return False


def holder_of(file: Path) -> str:
    """Who holds `file`, in words; empty if nobody does."""
    with contextlib.suppress(OSError):
        return file.read_text(errors="replace").strip() if is_held(file) else ""
    return ""


def is_lock(file: Path) -> bool:
    """Whether `file` is a lock of labctl's, by what stands in it: names like ours prove nothing."""
    try:
        return not file.is_symlink() and HOLDER.fullmatch(file.read_bytes()[:1000].decode(errors="replace")) is not None
    except OSError:
        return False


def _take(file: Path, how: int, doing: str, wait_s: float) -> int:
    """The open file, locked. One that was taken away while we waited is opened anew: its lock protects nothing."""
    deadline = time.monotonic() + wait_s
    while True:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _wait(handle, how, doing, deadline)
        except BaseException:
            os.close(handle)
            raise
        if _is_at(handle, file):
            return handle
        os.close(handle)


def _wait(handle: int, how: int, doing: str, deadline: float) -> None:
    while True:
        try:
            return fcntl.flock(handle, how | fcntl.LOCK_NB)
        except BlockingIOError:
            holder, late = _signature(handle), time.monotonic() - deadline
            if late >= 0 and (holder or late >= SIGN_S):
                raise LockHeld(
                    f"cannot {doing}", why=f"{holder or 'another labctl'} is at work on it", hint="wait for it, or try again"
                ) from None
            time.sleep(LOOK_S)


def _signature(handle: int) -> str:
    """Who holds the file, by what stands in it; empty while the holder has not written yet, or what stands there is a dead one's."""
    text = os.pread(handle, 1000, 0).decode(errors="replace")
    found = HOLDER.fullmatch(text)
    return text.strip() if found and Path(f"/proc/{found[1]}").exists() else ""


def _sign(handle: int, doing: str) -> None:
    """Write over what stands there, and only then cut off the rest: at no moment is the file of a holder empty again."""
    mine = f"process {os.getpid()} ({doing})\n".encode()
    os.pwrite(handle, mine, 0)
    os.ftruncate(handle, len(mine))


def _is_at(handle: int, file: Path) -> bool:
    with contextlib.suppress(OSError):
        here, there = os.fstat(handle), file.lstat()
        return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
    return False


def _unlink(handle: int, file: Path) -> None:
    """Take the file away while it is held; not one that somebody else has put there since."""
    if _is_at(handle, file):
        with contextlib.suppress(OSError):
            file.unlink()

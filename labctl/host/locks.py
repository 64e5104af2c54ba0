"""Locks between labctl processes: flock(2) on a file that says who holds it. The kernel lets go when the holder dies.

Owns waiting and its end; what a lock protects is the caller's.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from labctl.errors import LockHeld


@contextlib.contextmanager
def lock(file: Path, doing: str, *, wait_s: float = 0.0) -> Iterator[None]:
    """Hold `file` while the block runs. `LockHeld` names the holder if it is not free within `wait_s`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    holder = os.pread(handle, 200, 0).decode(errors="replace").strip() or "another labctl"
                    raise LockHeld(f"cannot {doing}", why=f"{holder} is at work on it", hint="wait for it, or try again") from None
                time.sleep(0.05)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} ({doing})\n".encode(), 0)
        yield
    finally:
        os.close(handle)

"""A small file system of a test's own: a tmpfs in a user and mount namespace that an ordinary user may make.

`place` reaches it from outside (through /proc/PID/root), `argv_inside` runs a program that sees it at `inner`. It is gone when the
process that holds the namespace ends.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HOLD = """
import ctypes, os, sys
where, size, flags = sys.argv[1], sys.argv[2], int(sys.argv[3])
os.makedirs(where, exist_ok=True)
libc = ctypes.CDLL(None, use_errno=True)
options = b"size=" + size.encode() + b"m,mode=0755"
if libc.mount(b"small", os.fsencode(where), b"tmpfs", 0, options) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
if flags and libc.mount(b"small", os.fsencode(where), b"tmpfs", 32 | flags, options) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
print("ready", flush=True)
sys.stdin.read()
"""
READ_ONLY = 1
LARGE, SMALL = 1 << 20, 1 << 12  # bytes


@dataclass(frozen=True)
class SmallDisk:
    """`inner`: where programs inside see it; `holder`: the process that keeps it."""

    inner: Path
    holder: int

    @property
    def place(self) -> Path:
        return Path(f"/proc/{self.holder}/root{self.inner}")

    def argv_inside(self, argv: Sequence[str]) -> tuple[str, ...]:
        here = f"--wd={os.getcwd()}"  # else it would be the root directory
        return ("nsenter", f"--target={self.holder}", "--user", "--mount", "--preserve-credentials", here, "--", *argv)

    def fill(self, leave_kib: int = 0, name: str = "filler") -> Path:
        """Take all room but `leave_kib`; remove the file to give it back."""
        file, taken, step = self.place / name, 0, LARGE
        with file.open("wb") as stream:
            while step >= SMALL:  # others write there too: what was free a moment ago need not be
                disk = os.statvfs(self.place)
                try:
                    if disk.f_bavail * disk.f_frsize - leave_kib * 1024 < step:
                        raise OSError
                    os.posix_fallocate(stream.fileno(), taken, step)
                    taken += step
                except OSError:
                    step //= 16
        return file


@contextmanager
def small_disk(where: Path, size_mib: int, *, read_only: bool = False) -> Iterator[SmallDisk]:
    """A tmpfs of `size_mib` at `where`, an empty directory."""
    shape = ("unshare", "--user", "--map-current-user", "--mount", "--keep-caps", "--propagation=private")
    argv = (*shape, sys.executable, "-c", HOLD, str(where), str(size_mib), str(READ_ONLY if read_only else 0))
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"ready\n", "an ordinary user can mount a tmpfs in a namespace of its own"
            yield SmallDisk(where, holder.pid)
        finally:
            holder.terminate()

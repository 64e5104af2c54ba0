"""Does KVM really run code here? The only honest answer is a boot: the real image's kernel and initrd, watched for some seconds.

/dev/kvm may open, and libvirt may advertise kvm, where no stock kernel gets anywhere; so nothing else counts as evidence. Owns
the trial and its memory (one JSON file, by boot id, QEMU version, kernel and initrd). Where the kernel lies, and
what is done with the answer, is the caller's.
"""

import contextlib
import functools
import json
import os
import selectors
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Literal

from labctl.host.run import run, start, stop

KVM = Path("/dev/kvm")
QEMU = "qemu-system-x86_64"
TRIAL_S = 8.0  # a kernel under KVM is in userland after one second; where it is not after eight, emulation is no slower
END_S = 5.0  # should labctl be killed meanwhile, the trial ends by itself
EMULATED_TIME_SCALE = 4.0
SAID_BY_KERNEL = b"Linux version "
SAID_IN_USERLAND = b"labctl-42-userland"  # computed by the shell, so the kernel's echo of its command line does not hold it
COMMAND_LINE = 'console=ttyS0 panic=-1 rdinit=/bin/busybox -- sh -c "echo labctl-$((6*7))-userland"'
DEAD_ALREADY = (b"KVM internal error", b"kvm run failed")
OUTPUT_LIMIT = 1 << 20


@dataclass(frozen=True)
class Accelerator:
    """What runs the guests' code: `kvm`, or `tcg` (QEMU's emulation). Deadlines are multiplied by `time_scale`."""

    kind: Literal["kvm", "tcg"]
    why: str
    time_scale: float

    def __str__(self) -> str:
        return f"{'KVM' if self.kind == 'kvm' else 'software emulation (TCG)'}: {self.why}"


def kvm(why: str) -> Accelerator:
    return Accelerator("kvm", why, 1.0)


def tcg(why: str) -> Accelerator:
    return Accelerator("tcg", why, EMULATED_TIME_SCALE)


def prove_accelerator(kernel: Path, initrd: Path, *, cache: Path, device: Path = KVM) -> Accelerator:
    """The accelerator of this machine, by a boot under KVM if there is no answer in the directory `cache` yet. Never guesses.

    A missing or closed /dev/kvm means tcg at once and is not remembered: mending it must count.
    """
    if known := cached_accelerator(kernel, initrd, cache=cache, device=device):
        return known
    answer = try_boot(kernel, initrd)
    _remember(_key(kernel, initrd), answer, cache)
    return answer


def cached_accelerator(kernel: Path, initrd: Path, *, cache: Path, device: Path = KVM) -> Accelerator | None:
    """What an earlier proof found for this very boot, QEMU, kernel and initrd; None if there was none. Starts no machine."""
    if closed := why_closed(device):
        return tcg(closed)
    try:
        kept = json.loads(_cache_file(cache).read_text())
        return Accelerator(**kept["answer"]) if kept["key"] == _key(kernel, initrd) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # nothing there, or not ours: prove again


def why_closed(device: Path = KVM) -> str:
    """Why this user cannot open the device; empty if it opens."""
    try:
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        return f"{device} does not exist"
    except OSError as refused:
        return f"{device} cannot be opened ({refused.strerror})"
    return ""


def qemu_version() -> str:
    """The first line of QEMU's own version; `HostError` if it is not installed."""
    file = shutil.which(QEMU)
    return _version_said(file or QEMU, Path(file).stat().st_mtime_ns if file else 0)


@functools.cache
def _version_said(file: str, _changed: int) -> str:
    """Asked once of each QEMU, 0.03 s: a lab's key asks for every node."""
    return run((file, "--version"), timeout_s=10).text.partition("\n")[0].strip()


def try_boot(kernel: Path, initrd: Path, *, acceleration: str = "kvm", cpu: str = "host", limit_s: float = TRIAL_S) -> Accelerator:
    """Boot the kernel with the shell of its initrd as first process, at most `limit_s` seconds, and judge by the serial console."""
    argv = (
        *("timeout", "--signal=KILL", f"{limit_s + END_S:g}", "prlimit", "--core=0:0", "--"),
        *(QEMU, "-accel", acceleration, "-machine", "pc", "-cpu", cpu, "-m", "256", "-smp", "1"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio", "-sandbox", "on"),
        *("-kernel", str(kernel), "-initrd", str(initrd), "-append", COMMAND_LINE),
    )
    began = time.monotonic()
    process = start(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        assert process.stdout is not None
        said = _listen(process.stdout, began + limit_s)
    finally:
        stop(process)
    return judge_boot(said, time.monotonic() - began)


def judge_boot(said: bytes, seconds: float) -> Accelerator:
    """What the console's text proves. Pure."""
    if SAID_IN_USERLAND in said:
        return kvm(f"a guest kernel reached userland in {seconds:.1f} s")
    if SAID_BY_KERNEL in said:
        return tcg(f"under KVM a guest kernel starts, but does not reach userland within {seconds:.0f} s")
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip() and "warning" not in line]
    if lines:
        return tcg(f"under KVM no guest kernel starts; QEMU says: {lines[0].strip()[:160]}")
    return tcg(f"under KVM a guest kernel says nothing within {seconds:.0f} s")


def _listen(console: IO[bytes], deadline: float) -> bytes:
    said = b""
    with selectors.DefaultSelector() as selector:
        selector.register(console, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0 and len(said) < OUTPUT_LIMIT:
            if not selector.select(left):
                break
            chunk = os.read(console.fileno(), 65536)
            said += chunk
            if not chunk or SAID_IN_USERLAND in said or any(sign in said for sign in DEAD_ALREADY):
                break
    return said


def _key(kernel: Path, initrd: Path) -> dict[str, str]:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return {"boot": boot, "qemu": qemu_version(), "kernel": _identity(kernel), "initrd": _identity(initrd)}


def _identity(file: Path) -> str:
    """Path, size and time of a file of an image layer, which does not change once it is there: 0.15 s sooner than its digest."""
    found = file.stat()
    return f"{file} {found.st_size} {found.st_mtime_ns}"


def _cache_file(cache: Path) -> Path:
    return cache / "accelerator.json"


def _remember(key: dict[str, str], answer: Accelerator, cache: Path) -> None:
    """Written whole or not at all; a cache that cannot be written costs a proof next time, nothing else."""
    with contextlib.suppress(OSError):
        cache.mkdir(parents=True, exist_ok=True)
        partial = cache / "accelerator.json.new"
        partial.write_text(json.dumps({"key": key, "answer": asdict(answer)}))
        partial.rename(_cache_file(cache))

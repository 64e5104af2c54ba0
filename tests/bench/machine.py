"""What a measurement has to be told with: the machine, its accelerator, the versions of what was run."""

import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path


def first_line(*argv: str) -> str:
    """The first line that a program prints; empty if it is not there."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        return ""
    return next(iter(done.stdout.splitlines()), "")


def probe_busy_cores(over_s: float = 2.0) -> float:
    """How many cores were at work over the last `over_s` seconds: what else runs here, if it is asked before anything is begun."""
    idle_before, began = _idle_s(), time.monotonic()
    time.sleep(over_s)
    return max(0.0, (os.cpu_count() or 1) - (_idle_s() - idle_before) / (time.monotonic() - began))


def _idle_s() -> float:
    """Idle seconds of all cores together since the start (proc(5), /proc/stat: idle and iowait)."""
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return (int(words[4]) + int(words[5])) / os.sysconf("SC_CLK_TCK")


def probe_machine() -> dict[str, str]:
    """Facts about this machine, by the words that the page uses."""
    memory_kib = next(line.split()[1] for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    cpu = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {cpu[0] if cpu else platform.machine()}, {round(int(memory_kib) / 2**20)} GiB of memory",
        "kernel": platform.release().split("-")[0],
        "QEMU": first_line("qemu-system-x86_64", "--version").removeprefix("QEMU emulator version "),
        "libvirt": first_line("libvirtd", "--version").rpartition(" ")[2],
    }

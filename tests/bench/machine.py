"""What a measurement has to be told with: the machine, its accelerator, the versions of what was run."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path


def first_line(*argv: str) -> str:
    """The first line that a program prints; empty if it is not there."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        return ""
    return next(iter(done.stdout.splitlines()), "")


def probe_machine() -> dict[str, str]:
    """Facts about this machine, by the words that the page uses."""
    memory_kib = next(line.split()[1] for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    cpu = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {cpu[0] if cpu else platform.machine()}, {round(int(memory_kib) / 2**20)} GiB of memory",
        "kernel": platform.release().split("-")[0],
        "QEMU": first_line("qemu-system-x86_64", "--version").removeprefix("QEMU emulator version "),
        "load before it began": f"{os.getloadavg()[0]:.1f}",
        "libvirt": first_line("libvirtd", "--version").rpartition(" ")[2],
    }

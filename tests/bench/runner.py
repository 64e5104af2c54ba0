"""A CI runner that starts empty: `prove` with nothing in the cache, and again with the images of another machine brought over.

Owns how a whole run's memory, disk and download are measured: the machine's own counters, read while it runs; whatever else the machine
does at that time is counted too.
"""

import contextlib
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench.labctl_side import COMMAND, CommandFailed
from tests.bench.samples import LABCTL, Samples

ARCHIVE = "images.tar.zst"


def measure_runner(samples: Samples, home: Path, labs: Sequence[str]) -> None:
    """Both rows for `labs`, all if none is named, in directories below `home` that are gone afterwards.

    A red lab fails the part, after it was measured.
    """
    samples.about["labs of the CI runner"] = ", ".join(labs) or "all"
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="labctl-bench-", dir=home) as place:
        archive = Path(place) / ARCHIVE
        first, second = Path(place) / "first", Path(place) / "second"
        with _measured(samples, "ci-empty", first):
            red = _prove(first, labs)
        _labctl(first, "image", "export", str(archive))
        with _measured(samples, "ci-brought", second):
            _labctl(second, "image", "import", str(archive))
            red |= _prove(second, labs)
        if red:
            raise CommandFailed("prove: a lab is red")


def _prove(place: Path, labs: Sequence[str]) -> bool:
    """Whether a lab was red."""
    return _labctl(place, "prove", *(labs or ("--all",)), statuses=(0, 1)) == 1


def _labctl(place: Path, *words: str, statuses: tuple[int, ...] = (0,)) -> int:
    environment = {**os.environ, "XDG_CACHE_HOME": str(place / "cache"), "XDG_STATE_HOME": str(place / "state"), "NO_COLOR": "1"}
    done = subprocess.run((*COMMAND, *words), capture_output=True, text=True, env=environment, check=False)
    if done.returncode not in statuses:
        raise CommandFailed(f"labctl {' '.join(words)}: status {done.returncode}: {done.stderr.strip()[-800:]}")
    return done.returncode


@contextlib.contextmanager
def _measured(samples: Samples, row: str, place: Path) -> Iterator[None]:
    place.mkdir()
    began, received, memory_before = time.monotonic(), _received_bytes(), _memory_mib()
    peaks = {"ram": 0.0, "disk": 0.0}
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(2.0):
            peaks["ram"] = max(peaks["ram"], _memory_mib() - memory_before)
            peaks["disk"] = max(peaks["disk"], _disk_mib(place))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
    samples.add(LABCTL, f"{row}-wall", time.monotonic() - began)
    samples.add(LABCTL, f"{row}-ram", peaks["ram"])
    samples.add(LABCTL, f"{row}-disk", peaks["disk"])
    samples.add(LABCTL, f"{row}-downloaded", (_received_bytes() - received) / 1e6)


def _memory_mib() -> float:
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return (int(lines["MemTotal"].split()[0]) - int(lines["MemAvailable"].split()[0])) / 1024


def _received_bytes() -> int:
    lines = Path("/proc/net/dev").read_text().splitlines()[2:]
    counters = dict(line.split(":", 1) for line in lines)
    return sum(int(values.split()[0]) for name, values in counters.items() if name.strip() != "lo")


def _disk_mib(place: Path) -> float:
    done = subprocess.run(("du", "-s", "--block-size=1M", str(place)), capture_output=True, text=True, check=False)
    return float(done.stdout.split()[0]) if done.stdout else 0.0

"""The host trial: how a saved machine starts here, if it does. Tried once by a real start, remembered until QEMU or the machine changes.

QEMU calls the capability that it rests on (`x-ignore-shared`) unstable, so it is not believed but tried. Owns the memory of the answer
and how `doctor` tells it; the start itself is the engine's.
"""

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from labctl.host.accelerator import qemu_version
from labctl.host.domain_xml import MACHINE
from labctl.host.finding import Finding, State

WORKS, STREAM, FAILS = "clone", "stream", "cold"


@dataclass(frozen=True)
class Trial:
    """`way`: the quickest that works: clone (copies share a RAM file), stream (memory is loaded whole each time) or cold.

    `why`: what was seen.
    """

    way: str
    why: str
    accelerator: str
    qemu: str
    machine: str = MACHINE


def remember_trial(cache: Path, accelerator: str, way: str, why: str) -> None:
    """Keep the answer; a cache that cannot be written costs a trial next time, nothing else."""
    with contextlib.suppress(OSError):
        cache.mkdir(parents=True, exist_ok=True)
        partial = cache / "start-trial.json.new"
        partial.write_text(json.dumps(asdict(Trial(way, why, accelerator, qemu_version()))))
        partial.rename(cache / "start-trial.json")


def known_trial(cache: Path, accelerator: str | None = None) -> Trial | None:
    """The answer for this QEMU (and accelerator, if one is named); None if there is none."""
    try:
        trial = Trial(**json.loads((cache / "start-trial.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None
    fits = trial.qemu == qemu_version() and trial.machine == MACHINE and accelerator in (None, trial.accelerator)
    return trial if fits else None


def probe_start(cache: Path) -> Finding:
    """What `doctor` tells of it."""
    trial = known_trial(cache)
    if trial is None:
        return Finding("start", State.UNPROVEN, "how machines start: not tried yet", "the first labctl up tries it")
    if trial.way == WORKS:
        return Finding("start", State.OK, f"machines start as clones of a booted one ({trial.why})")
    if trial.way == STREAM:
        what = "machines start from saved ones whose memory is loaded whole each time"
        return Finding("start", State.WARN, what, trial.why, "another version of QEMU is tried anew")
    return Finding(
        "start",
        State.WARN,
        "machines are booted each time: a saved one does not start here",
        trial.why,
        "another version of QEMU is tried anew",
    )

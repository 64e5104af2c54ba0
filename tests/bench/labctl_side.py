"""labctl's side: what a person types, timed as whole processes from start to end, on real machines.

Owns which commands are run in which order. The state and the checkpoints are the bench's own and are gone afterwards; images and warm
images are the user's, so that they are made once.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.bench.figures import COLD_SIZES, SIZES, growth, memory
from tests.bench.labs import render_lab
from tests.bench.machine import probe_machine
from tests.bench.samples import LABCTL, Samples

INSTALLED = Path(sys.executable).with_name("labctl")  # the wheel, where the set-up has put it
COMMAND = (str(INSTALLED),) if INSTALLED.exists() else (sys.executable, "-m", "labctl.cli")
LIMIT_S = 900.0
SETTLE_S = 15.0  # after `up`, before memory is read: what starting touched is done
LARGE = 20  # nodes, from where a sample takes minutes
POINT = "bench"


class CommandFailed(Exception):
    """labctl said no; what it said."""


class Labctl:
    """The command, in directories of its own below `place`."""

    def __init__(self, place: Path) -> None:
        self.place = place
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "labctl"
        own = place / "cache" / "labctl"
        own.mkdir(parents=True)
        for name in ("warm", "libvirt"):
            (cache / name).mkdir(parents=True, exist_ok=True)
            (own / name).symlink_to(cache / name)
        with contextlib.suppress(FileNotFoundError):
            (own / "accelerator.json").write_bytes((cache / "accelerator.json").read_bytes())
        self._environment = {
            **os.environ,
            "XDG_STATE_HOME": str(place / "state"),
            "XDG_CACHE_HOME": str(place / "cache"),
            "LABCTL_IMAGES": str(cache / "images"),
            "LABCTL_SAVED_GIB": "1000000",  # nothing of the user's is removed to make room for the bench's
            "NO_COLOR": "1",
        }

    def run(self, *words: str) -> str:
        """What the command prints. Into files: the shared connection of `ssh` keeps a pipe open after its command has ended.

        Its end is waited for by wait(2); with a time-out Python looks only every 50 ms, which is half of what a short command takes.
        """
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            process = subprocess.Popen(
                (*COMMAND, *words), stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=self._environment
            )  # fmt: skip
            limit = threading.Timer(LIMIT_S, process.kill)
            limit.start()
            status = process.wait()
            limit.cancel()
            out.seek(0)
            err.seek(0)
            if status != 0:
                raise CommandFailed(f"labctl {' '.join(words)}: status {status}: {err.read().strip()[-800:]}")
            return out.read() + ("" if "--json" in words else err.read())

    def time(self, *words: str) -> float:
        """Seconds that the command takes."""
        began = time.monotonic()
        self.run(*words)
        return time.monotonic() - began

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json"))

    def lab(self, nodes: int, subnet: int = 0) -> str:
        """The directory of a lab of so many nodes."""
        directory = self.place / f"lab-{nodes}"
        directory.mkdir(exist_ok=True)
        (directory / "lab.yaml").write_text(render_lab(nodes, subnet))
        return str(directory)

    def down_all(self) -> None:
        for record in self.place.glob("state/labctl/instances/*/instance.json"):
            with contextlib.suppress(CommandFailed):
                self.run("down", "--instance", record.parent.name)


@contextlib.contextmanager
def open_labctl() -> Iterator[Labctl]:
    """A labctl whose labs and checkpoints are gone afterwards. On the disk where the user's own would lie."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home.mkdir(parents=True, exist_ok=True)
    subprocess.run((*COMMAND, "image", "build"), check=True, capture_output=True)
    with tempfile.TemporaryDirectory(prefix="labctl-bench-", dir=home) as place:
        labctl = Labctl(Path(place))
        try:
            yield labctl
        finally:
            labctl.down_all()


class LabctlSide:
    """Each part measures figures that belong together; `quick` takes fewer samples of fewer sizes."""

    def __init__(self, labctl: Labctl, samples: Samples, *, quick: bool, runs: int) -> None:
        self._labctl, self._samples, self._quick, self._runs = labctl, samples, quick, runs
        self.parts: dict[str, Callable[[], None]] = {
            "help": self._help,
            "one": lambda: self._known(1),
            "four": self._four,
            "point": self._point,
            "new": self._new,
            "ten": lambda: self._known(10),
            "cold": self._cold,
            **{f"growth-{nodes}": self._growing(nodes) for nodes in (SIZES if not quick else SIZES[:4])},
        }

    def describe(self) -> None:
        doctor = self._labctl.json("doctor")
        version = self._labctl.run("--version").strip().removeprefix("labctl").strip(", ")
        self._samples.describe({**probe_machine(), "accelerator": doctor["accelerator"]["kind"], "labctl": version})

    def _take(self, figure: str, *words: str) -> None:
        self._samples.add(LABCTL, figure, self._labctl.time(*words))

    def _help(self) -> None:
        for _ in range(self._runs):
            self._take("help", "--help")

    def _make_known(self, nodes: int) -> str:
        lab = self._labctl.lab(nodes)
        self._labctl.run("up", lab)
        self._labctl.run("down", "--instance", f"bench-{nodes}")
        return lab

    def _known(self, nodes: int) -> None:
        lab = self._make_known(nodes)
        for _ in range(self._runs):
            self._take(f"up-known-{nodes}", "up", lab)
            self._take(f"down-{nodes}", "down", "--instance", f"bench-{nodes}")

    def _four(self) -> None:
        lab = self._make_known(4)
        for _ in range(self._runs):
            self._take("up-known-4", "up", lab)
            self._take("up-nothing-4", "up", lab)
            self._take("status-4", "status")
            self._take("exec", "exec", "pc1", "--", "true")
            self._take("ssh-first", "ssh", "pc1", "--", "true")
            self._take("ssh-shared", "ssh", "pc1", "--", "true")
            self._take("reset-4", "reset")
            self._take("down-4", "down", "--instance", "bench-4")
        self._samples.tell("phases of a known lab", self._phases(lab))

    def _point(self) -> None:
        self._labctl.run("up", self._make_known(4))
        self._take("save-4", "checkpoint", "save", POINT)
        for _ in range(self._runs):
            self._take("goto-4", "checkpoint", "goto", POINT)
        self._labctl.run("down", "--instance", "bench-4")

    def _new(self) -> None:
        """A lab that this machine never saw: each has addresses that no lab had before."""
        self._make_known(4)  # so that the warm images are there
        for turn in range(1, self._runs + 1):
            lab = self._labctl.lab(4, subnet=turn)
            self._take("up-new-4", "up", lab)
            self._labctl.run("down", "--instance", "bench-4")
        self._samples.tell("phases of a new lab", self._phases(self._labctl.lab(4, subnet=self._runs + 1)))

    def _phases(self, lab: str) -> str:
        said = self._labctl.run("up", lab, "--timings")
        self._labctl.run("down", "--instance", "bench-4")
        return "\n".join(line for line in said.splitlines() if re.match(r" +[\d.]+ s  ", line))

    def _cold(self) -> None:
        lab = self._labctl.lab(1)
        for _ in range(min(self._runs, 3)):
            self._take("up-cold-1", "up", lab, "--start", "cold")
            self._labctl.run("down", "--instance", "bench-1")

    def _growing(self, nodes: int) -> Callable[[], None]:
        def measure() -> None:
            lab = self._make_known(nodes)
            runs = 2 if self._quick or nodes >= LARGE else 3
            ways = ("checkpoint", "clone", *(["cold"] if nodes in COLD_SIZES and not self._quick else []))
            for way in ways:
                for turn in range(runs if way != "cold" else 2):
                    self._take(growth(way, nodes), "up", lab, "--start", way)
                    if way == "checkpoint" and turn == runs - 1:
                        self._memory(nodes)
                    self._labctl.run("down", "--instance", f"bench-{nodes}")

        return measure

    def _memory(self, nodes: int) -> None:
        time.sleep(SETTLE_S)
        self._samples.add(LABCTL, memory(nodes), float(self._labctl.json("status")[0]["pss_mib"]))

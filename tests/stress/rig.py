"""A world of its own for rough tests: labctl with a state and a cache directory that nobody else has, and the host's view of it.

Layers come from the person's cache as a read-only directory (LABCTL_IMAGES), so that they are built once. What is looked at is asked of
/proc and of the file system, never of labctl.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INSTALLED = Path(sys.executable).with_name("labctl")
COMMAND = (str(INSTALLED),) if INSTALLED.exists() else (sys.executable, "-m", "labctl.cli")
LAB = """\
name: {name}
title: Two hosts and a cable
nodes:
  pc1: {{role: host, memory: 256MiB{more}}}
  pc2: {{role: host, memory: 256MiB}}
links:
  - pc1:eth1 -- pc2:eth1
addresses:
  pc1: {{eth1: 192.168.1.11/24}}
  pc2: {{eth1: 192.168.1.12/24}}
checks:
  - id: they-reach-each-other
    says: pc1 and pc2 reach each other
    do: {{pc1: ping -c 2 -W 10 192.168.1.12}}
    see:
      - reach: pc1 -> 192.168.1.12
    sabotage:
      - do: {{pc2: ip address del 192.168.1.12/24 dev eth1}}
        undo: {{pc2: ip address add 192.168.1.12/24 dev eth1}}
        says: pc2 has lost its address
"""
TARGETS = ("labctl", "libvirtd", "qemu", "first")


@dataclass(frozen=True)
class Said:
    """How a command ended. `status` is None if it did not within its limit: a deadlock."""

    words: tuple[str, ...]
    status: int | None
    out: str
    err: str
    seconds: float

    @property
    def fault(self) -> str:
        """What no command may ever do; empty if it did none of it."""
        if self.status is None:
            return f"{' '.join(self.words)}: no end"
        if self.status == 70 or "Traceback" in self.err + self.out:
            return f"{' '.join(self.words)}: traceback: {(self.err + self.out)[-2500:]}"
        if self.status in (4, 5, 6) and "why:" not in self.err and "hint:" not in self.err:
            return f"{' '.join(self.words)}: it does not say why: {self.err[-300:]}"
        return ""


@dataclass(frozen=True)
class Process:
    """A process of an instance, as the host sees it. `kind` is one of TARGETS or other; `name` the node's of a QEMU."""

    pid: int
    kind: str
    name: str
    words: str


class Rig:
    """labctl below `place`. `images`: the layers that are used and not made here."""

    def __init__(self, place: Path, images: Path | None = None) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self.place = place.resolve()
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        self.environment = {
            **os.environ,
            "XDG_STATE_HOME": str(self.place / "state"),
            "XDG_CACHE_HOME": str(self.place / "cache"),
            "LABCTL_IMAGES": str(images or cache / "labctl" / "images"),
            "LANG": "en_US.UTF-8",
            "NO_COLOR": "1",
        }

    @property
    def state(self) -> Path:
        return self.place / "state" / "labctl"

    @property
    def cache(self) -> Path:
        return self.place / "cache" / "labctl"

    def lab(self, name: str, more: str = "") -> str:
        """The directory of a lab of two hosts; `more` is put into the first one's words."""
        place = self.place / "labs" / name
        place.mkdir(parents=True, exist_ok=True)
        (place / "lab.yaml").write_text(LAB.format(name=name, more=more))
        return str(place)

    # --- labctl --------------------------------------------------------------------------------------------------------------

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            (*COMMAND, *words), env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def end(self, process: "subprocess.Popen[bytes]", words: tuple[str, ...], began: float, timeout_s: float) -> Said:
        status: int | None
        try:
            out, err = process.communicate(timeout=timeout_s)
            status = process.returncode
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            process.kill()
            out, err = process.communicate()
            status = None
        return Said(words, status, out.decode(errors="replace"), err.decode(errors="replace"), time.monotonic() - began)

    def run(self, *words: str, timeout_s: float = 600) -> Said:
        began = time.monotonic()
        return self.end(self.start(*words), words, began, timeout_s)

    def must(self, *words: str, timeout_s: float = 600) -> Said:
        said = self.run(*words, timeout_s=timeout_s)
        if said.status != 0:
            raise AssertionError(f"labctl {' '.join(words)} ended with {said.status}: {said.out[-1500:]}{said.err[-2500:]}")
        return said

    def json(self, *words: str, timeout_s: float = 300) -> Any:
        return json.loads(self.must(*words, "--json", timeout_s=timeout_s).out)

    # --- the host's view -----------------------------------------------------------------------------------------------------

    def processes(self) -> list[Process]:
        """Living processes of this rig, of whatever user id: by their words, and by the mounts of the namespaces that they are in."""
        found, ours = [], _self_and_above()
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                if int(entry.name) in ours:
                    continue
                words = (entry / "cmdline").read_bytes().split(b"\0")
                text = b" ".join(words).decode(errors="replace")
                if text and (str(self.place) in text or str(self.place) in (entry / "mountinfo").read_text()):
                    found.append(_process(entry, words, text))
        return found

    def find(self, kind: str, instance: str = "") -> Process | None:
        """A process of that kind; of the instance (or scratch machine) whose directory has `instance` in its path, if that is said."""
        for process in self.processes():
            if process.kind == kind and instance in f"{process.words} {_mounts(process.pid)}":
                return process
        return None

    def machines(self, instance: str) -> dict[str, int]:
        """Node → pid of its QEMU, as /proc tells."""
        place = f"/instances/{instance}"
        return {each.name: each.pid for each in self.processes() if each.kind == "qemu" and place in f"{each.words} {_mounts(each.pid)}"}

    def record(self, instance: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads((self.state / "instances" / instance / "instance.json").read_text())
            return found
        except (OSError, ValueError):
            return None

    def listing(self) -> set[str]:
        """What is below state and cache. Of saved machines and layers only the directories, of what may stay in any case nothing."""
        found = {str(file.relative_to(self.place)) for file in self.state.rglob("*")} if self.state.exists() else set()
        for room in ("images", "warm", "checkpoints"):
            found |= {str(file.relative_to(self.place)) for file in (self.cache / room).glob("*")}
        found |= {str(file.relative_to(self.place)) for file in self.cache.glob("*")}
        return found - {f"state/labctl/{name}" for name in ("instances", "scratch", "checkpoints")}

    def leaks(self, before: set[str]) -> list[str]:
        """What is there beyond `before` and is not a whole thing that may stay: processes, files, halves of layers."""
        deadline = time.monotonic() + 10
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.1)
        leaks = [f"process {each.pid} {each.words[:160]}" for each in left]
        leaks += [f"mount {line}" for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(self.place) in line]
        leaks += [f"file {path}" for path in sorted(self.listing() - before) if not self._may_stay(self.place / path)]
        leaks += [f"tree {path}" for path in Path("/var/tmp").glob("labctl-build-*") if path.stat().st_uid == os.getuid()]
        return leaks

    def _may_stay(self, path: Path) -> bool:
        if path.parent == self.cache:
            return path.name in ("images", "warm", "checkpoints", "libvirt", "accelerator.json", "start-trial.json")
        if path.parent in (self.cache / "warm", self.cache / "checkpoints"):
            return (path / "whole").exists() and not path.with_name(f".{path.name}.making").exists()
        if path.parent == self.cache / "images":
            return (path / "layer.json").exists() and len(path.name) == 64
        return path.parent == self.state / "checkpoints" and not any(path.iterdir())


def _self_and_above() -> set[int]:
    """This process and those that started it, who may name the rig's place too."""
    found, pid = set(), os.getpid()
    while pid > 1:
        found.add(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return found


def _process(entry: Path, words: list[bytes], text: str) -> Process:
    program = words[0].rsplit(b"/", 1)[-1].decode(errors="replace")
    pid = int(entry.name)
    if program.startswith("qemu-system") and b"-name" in words:
        return Process(pid, "qemu", words[words.index(b"-name") + 1].decode().removeprefix("guest=").partition(",")[0], text)
    if program in ("libvirtd", "virtqemud"):
        return Process(pid, "libvirtd", "", text)
    inner = next(line for line in (entry / "status").read_text().splitlines() if line.startswith("NSpid:")).split()
    if "first_process.py" in text and len(inner) > 2 and inner[-1] == "1":
        return Process(pid, "first", "", text)
    return Process(pid, "other", "", text)


def _mounts(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/mountinfo").read_text()
    return ""


def kill(pid: int) -> bool:
    """SIGKILL, and wait until the process is gone; False if it was gone before."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state in "ZX":
            return True
        time.sleep(0.002)
    return True

"""`make bench`: times the commands that a person types, on real machines, and prints a table; nothing is judged.

Owns what is measured and how often. Each figure is a whole process, from its start to its end, as the person waits for it.
"""

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

INSTALLED = Path(sys.executable).with_name("labctl")  # the wheel, where make test has put it
COMMAND = (str(INSTALLED),) if INSTALLED.exists() else (sys.executable, "-m", "labctl.cli")
LAB = """\
name: bench
title: {{en: Hosts on a switch}}
nodes:
  pc1..pc{hosts}: host
  sw1: l2-switch
links:
{links}
addresses:
{addresses}
"""


@dataclass(frozen=True)
class Figure:
    """Samples of one measurement, seconds each."""

    what: str
    goal: str
    samples: tuple[float, ...]

    @property
    def row(self) -> str:
        ordered = sorted(self.samples)
        median = statistics.median(ordered)
        return f"| {self.what} | {self.goal} | {median:.2f} s | {ordered[0]:.2f}–{ordered[-1]:.2f} | {len(ordered)} |"


def lab_text(nodes: int) -> str:
    """A lab of `nodes` nodes: a switch with a host at each port, as many as it has ports."""
    hosts = range(1, nodes)
    links = "\n".join(f"  - pc{n}:eth1 -- sw1:port{n}" for n in hosts)
    addresses = "\n".join(f"  pc{n}: {{eth1: 10.0.{n // 250}.{n % 250 + 1}/16}}" for n in hosts)
    return LAB.format(hosts=nodes - 1, links=links, addresses=addresses)


class Bench:
    """The command in a state directory of its own; the cache is the user's."""

    def __init__(self, state: Path, runs: int) -> None:
        self._environment = {**os.environ, "XDG_STATE_HOME": str(state), "NO_COLOR": "1"}
        self._runs = runs
        self.figures: list[Figure] = []

    def labctl(self, *words: str) -> float:
        """Run the command; how long it took."""
        began = time.monotonic()
        done = subprocess.run((*COMMAND, *words), capture_output=True, env=self._environment, check=False)
        took = time.monotonic() - began
        if done.returncode != 0:
            sys.exit(f"labctl {' '.join(words)}: status {done.returncode}\n{done.stderr.decode(errors='replace')}")
        return took

    def json(self, *words: str) -> object:
        done = subprocess.run((*COMMAND, *words, "--json"), capture_output=True, env=self._environment, check=True)
        return json.loads(done.stdout)

    def measure(self, what: str, goal: str, once: Callable[[], float], *, runs: int = 0) -> None:
        figure = Figure(what, goal, tuple(once() for _ in range(runs or self._runs)))
        self.figures.append(figure)
        print(figure.row, flush=True)


def measure_all(bench: Bench, place: Path) -> None:
    bench.measure("`labctl --help`", "≤ 0.15 s", lambda: bench.labctl("--help"))
    for nodes in (1, 4, 10):
        measure_lab(bench, place, nodes)


def measure_lab(bench: Bench, place: Path, nodes: int) -> None:
    lab = place / f"lab{nodes}"
    lab.mkdir()
    text = lab_text(nodes) if nodes > 1 else "name: bench\ntitle: {en: One host}\nnodes: {pc1: host}\n"
    (lab / "lab.yaml").write_text(text)
    goals = {1: "≤ 0.9 s", 4: "≤ 1.4 s", 10: "≤ 4 s"}
    bench.labctl("up", str(lab))
    bench.labctl("down", "--instance", "bench")

    def again() -> float:
        took = bench.labctl("up", str(lab))
        downs.append(bench.labctl("down", "--instance", "bench"))
        return took

    downs: list[float] = []
    bench.measure(f"`up` of a known lab, {nodes} nodes", goals[nodes], again)
    bench.figures.append(Figure(f"`down`, {nodes} nodes", "≤ 0.5 s", tuple(downs)))
    print(bench.figures[-1].row, flush=True)
    if nodes == 4:
        bench.measure("`up` of a new lab of 4, its checkpoint saved", "≤ 4 s", lambda: fresh(bench, lab), runs=3)
        bench.labctl("up", str(lab))
        bench.measure("`up`, nothing changed", "≤ 0.4 s", lambda: bench.labctl("up", str(lab)))
        bench.measure("`status`, 4 nodes", "≤ 0.2 s", lambda: bench.labctl("status"))
        bench.measure("`exec pc1 true`", "≤ 0.3 s", lambda: bench.labctl("exec", "pc1", "--", "true"))
        bench.labctl("ssh", "pc1", "--", "true")
        bench.measure("`ssh pc1 true`, connection shared", "≤ 0.8 s", lambda: bench.labctl("ssh", "pc1", "--", "true"))
        bench.measure("`reset`, 4 nodes", "≤ 1.5 s", lambda: bench.labctl("reset"))
        bench.labctl("down", "--instance", "bench")


def fresh(bench: Bench, lab: Path) -> float:
    """A lab that this machine never saw: its title's digest does not count, a node's setting does."""
    fresh.count += 1  # type: ignore[attr-defined]
    file = lab / "lab.yaml"
    known = file.read_text()
    file.write_text(known.replace("10.0.0.", f"10.{fresh.count}.{os.getpid() % 250}."))  # type: ignore[attr-defined]
    took = bench.labctl("up", str(lab))
    bench.labctl("down", "--instance", "bench")
    file.write_text(known)
    return took


fresh.count = 0  # type: ignore[attr-defined]


def heading() -> str:
    accelerator = "unknown"
    found = subprocess.run((*COMMAND, "doctor", "--json"), capture_output=True, check=False).stdout
    with contextlib.suppress(ValueError, KeyError, TypeError):
        accelerator = json.loads(found)["accelerator"]["kind"]
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
    qemu = subprocess.run(("qemu-system-x86_64", "--version"), capture_output=True, text=True, check=True).stdout.split("\n")[0]
    return (
        f"Accelerator: {accelerator}. Machine: {os.cpu_count()} cores, {model}; kernel {platform.release().split('-')[0]}; {qemu}. "
        f"{date.today().isoformat()}."
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(Path(place) / "state", chosen.runs)
        about = heading()
        print(about, "\n\n| what | goal | median | range | runs |\n|---|---|---|---|---|", flush=True)
        measure_all(bench, Path(place))
    if chosen.write:
        rows = "\n".join(figure.row for figure in bench.figures)
        chosen.write.write_text(
            f"# Performance\n\n{about}\n\nWhole processes, as a person waits for them. Written by `make bench`.\n\n"
            f"| what | goal | median | range | runs |\n|---|---|---|---|---|\n{rows}\n"
        )


if __name__ == "__main__":
    main()

"""The shipped labs again and again, each from its checkpoint; every second round beside work that keeps all cores busy.

    python -m tests.stress.rounds PLACE [--rounds 5] [--budget MINUTES] [LAB …]

At least so many rounds, and further ones as long as the budget lasts. A check that is red once is a fault: nothing is run again.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labctl.lab.load import shipped_labs
from tests.stress.rig import Rig
from tests.stress.rows import Row, add_row

LIMIT_S = 1800.0


@dataclass(frozen=True)
class Turn:
    """One lab in one round: from its `up` to the end of `verify`, in seconds, and what was red."""

    lab: str
    busy: bool
    up_s: float
    verify_s: float
    red: tuple[str, ...]


@contextlib.contextmanager
def busy_cores(wanted: bool) -> Iterator[None]:
    """A process for each core that does nothing but compute, until the block ends."""
    work = [subprocess.Popen((sys.executable, "-c", "while True: pass")) for _ in range(os.cpu_count() or 1)] if wanted else []
    try:
        yield
    finally:
        for process in work:
            process.kill()
            process.wait()


def take_turn(rig: Rig, lab: str, *, busy: bool) -> Turn:
    began = time.monotonic()
    up = rig.run("up", lab, timeout_s=LIMIT_S)
    ready = time.monotonic()
    red = [] if up.status == 0 else [f"up ended with {up.status}: {up.err.strip()[-600:]}"]
    if not red:
        verified = rig.run("verify", lab, timeout_s=LIMIT_S)
        red += [] if verified.status == 0 else [f"verify ended with {verified.status}: {(verified.out + verified.err).strip()[-3000:]}"]
    ended = time.monotonic()
    down = rig.run("down", lab)
    red += [] if down.status == 0 else [f"down ended with {down.status}: {down.err.strip()[-600:]}"]
    return Turn(lab, busy, ready - began, ended - ready, tuple(red))


def run_rounds(rig: Rig, labs: list[str], *, least: int, budget_s: float) -> list[Turn]:
    """Rounds until there are enough and the next would end after the budget."""
    for lab in labs:
        rig.must("up", lab, timeout_s=LIMIT_S)  # its checkpoint is there then
        rig.must("down", lab)
    turns: list[Turn] = []
    began, longest, number = time.monotonic(), 0.0, 0
    while number < least or time.monotonic() - began + longest < budget_s:
        round_began, busy = time.monotonic(), number % 2 == 1
        with busy_cores(busy):
            for lab in labs:
                turn = take_turn(rig, lab, busy=busy)
                turns.append(turn)
                for red in turn.red:
                    print(f"RED   round {number + 1}, {lab}{', cores busy' if busy else ''}: {red}", flush=True)
        longest = max(longest, time.monotonic() - round_began)
        number += 1
        print(f"round {number}{', cores busy' if busy else ''}: {time.monotonic() - round_began:.0f} s", flush=True)
    return turns


def render(turns: list[Turn]) -> str:
    """A Markdown table: each lab, its rounds, what was red, medians in seconds with idle and with busy cores."""
    lines = ["| lab | rounds | red | up, verify (s) | beside busy cores |", "|---|---|---|---|---|"]
    for lab in dict.fromkeys(turn.lab for turn in turns):
        own = [turn for turn in turns if turn.lab == lab]
        lines.append(f"| {lab} | {len(own)} | {sum(bool(turn.red) for turn in own)} | {medians(own, False)} | {medians(own, True)} |")
    return "\n".join(lines)


def medians(turns: list[Turn], busy: bool) -> str:
    own = [turn for turn in turns if turn.busy == busy]
    return f"{statistics.median(t.up_s for t in own):.1f}, {statistics.median(t.verify_s for t in own):.0f}" if own else "-"


def main() -> int:
    parser = argparse.ArgumentParser(description="The shipped labs again and again, half of the rounds beside busy cores.")
    parser.add_argument("place", type=Path)
    parser.add_argument("labs", nargs="*", default=[file.parent.name for file in shipped_labs()])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--budget", type=float, default=90, metavar="MINUTES")
    chosen = parser.parse_args()
    turns = run_rounds(Rig(chosen.place), chosen.labs, least=chosen.rounds, budget_s=chosen.budget * 60)
    print(render(turns))
    red = [turn for turn in turns if turn.red]
    add_row(Row("rounds", f"up, verify, down of {len(chosen.labs)} labs from their checkpoints", len(turns), len(red)))
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main())

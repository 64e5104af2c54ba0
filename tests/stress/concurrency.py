"""Twenty people at once: up, down, status, verify, gc and image prune at random on three instances of two labs, for minutes.

    python -m tests.stress.concurrency PLACE [--people 20] [--seconds 300] [--seed 1]

No command may end in a traceback or not at all; whoever is kept out is told by whom; status shows nothing that cannot be; and at the end
all comes down and nothing is left.
"""

import argparse
import json
import random
import re
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.stress.rig import Rig, Said
from tests.stress.rows import Row, add_row

INSTANCES = {"one": "one", "one-more": "one", "two": "two"}  # instance → lab
STATES = {"running", "halted", "starting", "dead"}
LIMIT_S = 400.0
ALLOWED = {
    "up": {0, 2, 5},
    "down": {0, 2, 5},
    "status": {0, 2},
    "verify": {0, 1, 2, 5},
    "gc": {0},
    "image": {0, 5},
}  # 2: no such instance now; 5: a step failed, the instance went away under it, or somebody holds it


@dataclass
class Crowd:
    """What all people of one run share."""

    rig: Rig
    ends: float
    ended: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    kept_out: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def person(self, number: int, seed: int) -> None:
        """Do something at random until the time is over."""
        dice = random.Random(seed * 1000 + number)  # noqa: S311 - no secret
        while time.monotonic() < self.ends:
            words = self.choose(dice)
            self.look_at(self.rig.run(*words, timeout_s=LIMIT_S))

    def choose(self, dice: random.Random) -> tuple[str, ...]:
        instance = dice.choice(list(INSTANCES))
        lab = str(self.rig.place / "labs" / INSTANCES[instance])
        choices: dict[tuple[str, ...], int] = {
            ("up", lab, "--instance", instance): 5,
            ("down", "--instance", instance): 2,
            ("status", "--json"): 4,
            ("status", "--instance", instance, "--json"): 2,
            ("verify", "--instance", instance): 4,
            ("gc",): 1,
            ("gc", "--dead"): 1,
            ("image", "prune"): 1,
        }
        return dice.choices(list(choices), list(choices.values()))[0]

    def look_at(self, said: Said) -> None:
        fault = said.fault or self.judge(said)
        with self.lock:
            self.ended[f"{said.words[0]} {said.status}"] += 1
            self.kept_out += "is at work on it" in said.err
            if fault:
                self.faults.append(fault)
                print(f"FAULT {fault}", flush=True)

    def judge(self, said: Said) -> str:
        verb = said.words[0]
        if said.status not in ALLOWED[verb]:
            return f"{' '.join(said.words)} ended with {said.status}: {said.err[-600:]}"
        if "is at work on it" in said.err and not re.search(r"process \d+ \(", said.err):
            return f"{' '.join(said.words)} does not say who holds the lock: {said.err[-300:]}"
        if verb == "status" and said.status == 0:
            return self.judge_status(said.out)
        return ""

    def judge_status(self, text: str) -> str:
        for one in json.loads(text):
            nodes = {node["name"] for node in one["nodes"]}
            if one["lab"] != INSTANCES.get(one["instance"]) or one["state"] not in STATES or not nodes <= {"pc1", "pc2"}:
                return f"status shows what cannot be: {one}"
        return ""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("place", type=Path)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    rig = Rig(chosen.place)
    for lab in set(INSTANCES.values()):
        rig.lab(lab)
    before = rig.listing()
    crowd = Crowd(rig, time.monotonic() + chosen.seconds)
    people = [threading.Thread(target=crowd.person, args=(number, chosen.seed)) for number in range(chosen.people)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    end(crowd, before)
    row = report(crowd, chosen.people, chosen.seconds)
    add_row(row)
    print(f"{row.tried} commands, {row.lost} faults; {row.remark}")
    return 1 if crowd.faults else 0


def end(crowd: Crowd, before: set[str]) -> None:
    """After all that: each instance comes up, works and goes, and nothing is left."""
    rig = crowd.rig
    for instance, lab in INSTANCES.items():
        for words in (
            ("up", str(rig.place / "labs" / lab), "--instance", instance),
            ("verify", "--instance", instance),
            ("down", "--instance", instance),
        ):
            said = rig.run(*words)
            if said.status != 0:
                crowd.faults.append(f"afterwards {' '.join(words)} ended with {said.status}: {said.out[-300:]}{said.err[-900:]}")
    collected = rig.run("gc", "--dead")
    if collected.status != 0:
        crowd.faults.append(f"gc ended with {collected.status}: {collected.err[-400:]}")
    crowd.faults += [f"LEAK: {leak}" for leak in rig.leaks(before)]
    for fault in crowd.faults:
        print(f"FAULT {fault}", flush=True)


def report(crowd: Crowd, people: int, seconds: float) -> Row:
    ended = ", ".join(f"{words}: {count}" for words, count in sorted(crowd.ended.items()))
    what = f"{people} processes on 3 instances of 2 labs for {seconds:g} s"
    return Row(
        "concurrency", what, crowd.ended.total(), len(crowd.faults), f"kept out by a lock {crowd.kept_out} times; exit statuses {ended}"
    )


if __name__ == "__main__":
    sys.exit(main())

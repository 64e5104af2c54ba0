"""The SIGKILL sweep: real kills on real machines, at points found by the journal's steps and by time.

    python -m tests.stress.sweep PLACE [--verbs up,reset] [--targets qemu] [--share 3] [--report FILE]

For each point: a situation is made, a verb is started, and one of four is killed in the middle of it (labctl itself, the instance's
libvirtd, one QEMU, the namespace's first process). Then the next `status` must tell the truth, `up` must finish the lab or say what to
do, `down` must work, and after `gc` there must be no process, mount, namespace or file that was not there before, no half of a layer in
the cache, and nothing lost that a guest had committed to its disk.
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.stress.rig import TARGETS, Process, Rig, Said, kill
from tests.stress.rows import Row, add_row

NAME = "swept"
NODES = ("pc1", "pc2")
LOOK_S = 0.002
TRUTH_S = 5.0
TRIES = 4
PACKAGES = ("tree", "pv", "bc", "dos2unix", "figlet", "hexer", "moreutils", "ncal")  # small, and not in the base image


@dataclass(frozen=True)
class Verb:
    """What is interrupted. `keeps`: what a guest committed before it must be there after it."""

    name: str
    words: tuple[str, ...]
    prepare: Callable[["Sweep"], None]
    keeps: bool = False
    where: str = f"/instances/{NAME}"
    again: tuple[str, ...] = ()  # what finishes the work; nothing: up
    points: dict[str, int] = field(default_factory=dict)  # target → how many, by time
    steps: tuple[str, ...] = ()  # entries of the journal at which labctl is killed too


@dataclass
class Outcome:
    """One point: what was killed when, what was said and done afterwards, what was lost."""

    target: str
    verb: str
    point: str
    killed: bool
    ended: str = ""  # the verb's own end
    status: str = ""
    up: str = ""
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Sweep:
    def __init__(self, place: Path) -> None:
        self.rig = Rig(place)
        self.lab = self.rig.lab(NAME)
        self.built = 0
        self.note = ""
        self.durations: dict[str, float] = {}

    # --- situations ------------------------------------------------------------------------------------------------------------

    def nothing(self) -> None:
        if self.rig.record(NAME) is not None:
            self.rig.must("down", "--instance", NAME)

    def nothing_saved(self) -> None:
        self.nothing()
        for room in ("warm", "checkpoints"):
            shutil.rmtree(self.rig.cache / room, ignore_errors=True)

    def up(self) -> None:
        self.rig.must("up", self.lab)
        self.note = f"{time.monotonic()}"
        self.rig.must("exec", "pc1", "--instance", NAME, "--", "sh", "-c", f"echo {self.note} > /root/note; sync")

    def halted(self) -> None:
        self.up()
        self.rig.must("halt", "--instance", NAME)

    def with_point(self) -> None:
        self.up()
        if not any(point["name"] == "known" for point in self.rig.json("checkpoint", "ls")):
            self.rig.must("checkpoint", "save", "known", "--instance", NAME)

    def without_points(self) -> None:
        self.up()
        for point in self.rig.json("checkpoint", "ls"):
            self.rig.must("checkpoint", "rm", point["name"])

    def new_layer(self) -> None:
        """A lab with commands of its own, other ones each time: its layer is made in a machine."""
        self.nothing()
        self.built += 1
        self.rig.lab("own", f", run: ['echo {self.built} > /opt/number']")

    def new_packages(self) -> None:
        """A lab with packages of its own, another one each time: its layer is made by apt, without a machine."""
        self.nothing()
        self.built += 1
        self.rig.lab("packed", f", packages: [{PACKAGES[self.built % len(PACKAGES)]}]")

    # --- one point -------------------------------------------------------------------------------------------------------------

    def points(self, verbs: list[str], targets: list[str], share: int) -> Iterator[tuple[Verb, str, str, float]]:
        """(verb, target, journal entry or nothing, part of the verb's time); with `share` only each n-th."""
        count = 0
        for verb in self.verbs():
            for target in TARGETS:
                wanted = (not verbs or verb.name in verbs) and (not targets or target in targets)
                number = verb.points.get(target, 0)
                each = [("", (place + 0.5) / number) for place in range(number)]
                if target == "labctl":
                    each += [(step, 0.0) for step in verb.steps]
                for step, part in each:
                    count += 1
                    if wanted and count % share == 0:
                        yield verb, target, step, part

    def verbs(self) -> tuple[Verb, ...]:
        rig = self.rig
        up_steps = ("begin instance", "begin namespace", "done namespace", "begin wires", "done wires")
        own, packed = (str(rig.place / "labs" / name) for name in ("own", "packed"))
        return (
            Verb("up", ("up", self.lab), Sweep.nothing, steps=up_steps, points=dict(labctl=4, libvirtd=2, qemu=2, first=2)),
            Verb(
                "up --fresh", ("up", self.lab, "--fresh"), Sweep.nothing, steps=("begin disk",),
                points=dict(labctl=6, libvirtd=3, qemu=3, first=2),
            ),
            Verb("down", ("down", "--instance", NAME), Sweep.up, steps=("begin down",), points=dict(labctl=4, libvirtd=1, qemu=1, first=1)),
            Verb("reset", ("reset", "--instance", NAME), Sweep.up, points=dict(labctl=4, libvirtd=2, qemu=2, first=2)),
            Verb("halt", ("halt", "--instance", NAME), Sweep.up, keeps=True, points=dict(labctl=2, libvirtd=1, qemu=1, first=1)),
            Verb("start", ("start", "--instance", NAME), Sweep.halted, keeps=True, points=dict(labctl=2, libvirtd=1, qemu=1, first=1)),
            Verb(
                "checkpoint save", ("checkpoint", "save", "new", "--instance", NAME), Sweep.without_points, keeps=True,
                points=dict(labctl=4, libvirtd=2, qemu=2, first=1),
            ),
            Verb(
                "checkpoint goto", ("checkpoint", "goto", "known", "--instance", NAME), Sweep.with_point,
                points=dict(labctl=3, libvirtd=2, qemu=2, first=1),
            ),
            Verb(
                "image build", ("image", "build", own), Sweep.new_layer, where="/scratch/", again=("image", "build", own),
                points=dict(labctl=3, libvirtd=1, qemu=1, first=1),
            ),
            Verb(
                "warm image", ("up", self.lab), Sweep.nothing_saved, where="/scratch/",
                points=dict(labctl=3, libvirtd=1, qemu=1, first=1),
            ),
            Verb(
                "image build (packages)", ("image", "build", packed), Sweep.new_packages, again=("image", "build", packed),
                points=dict(labctl=3),
            ),
            Verb("image build --fresh", ("image", "build", "--fresh"), Sweep.nothing, again=("image", "build"), points=dict(labctl=2)),
        )  # fmt: skip

    def measure(self, verb: Verb) -> float:
        """How long the verb takes undisturbed, once."""
        if verb.name not in self.durations:
            if verb.name.startswith("up"):
                self.up()  # what is made once for all is not measured
            verb.prepare(self)
            self.durations[verb.name] = self.rig.must(*verb.words).seconds
            if verb.name == "checkpoint save":
                self.rig.must("checkpoint", "rm", "new")
        return self.durations[verb.name]

    def one(self, verb: Verb, target: str, step: str, part: float) -> Outcome:
        """Try one point; again, earlier, if the verb was through before it came to that: the machine is not always equally busy."""
        self.measure(verb)
        for _ in range(TRIES):
            outcome = self._once(verb, target, step, part)
            if outcome.killed or outcome.faults:
                break
        return outcome

    def _once(self, verb: Verb, target: str, step: str, part: float) -> Outcome:
        moment = self.durations[verb.name] * part
        verb.prepare(self)
        before = self._clean_listing()
        began = time.monotonic()
        outcome = Outcome(target, verb.name, f"at '{step}'" if step else f"after {moment:.1f} s", killed=False)
        process = self.rig.start(*verb.words)
        outcome.killed = self._kill(process.pid, process.poll, verb, target, step, began + moment)
        said = self.rig.end(process, verb.words, began, 400)
        if not outcome.killed:
            self.durations[verb.name] = min(self.durations[verb.name], said.seconds)
        outcome.ended = "killed" if target == "labctl" and outcome.killed else _told(said)
        if not (target == "labctl" and outcome.killed):
            outcome.faults += [said.fault] if said.fault else []
        self._judge_status(outcome)
        self._judge_up(verb, outcome)
        self._judge_end(outcome, before)
        outcome.seconds = time.monotonic() - began
        return outcome

    def _clean_listing(self) -> set[str]:
        """What there is beside the instance, which is to be gone at the end."""
        return {path for path in self.rig.listing() if f"/instances/{NAME}" not in path and f"/instances/.{NAME}" not in path}

    def _kill(self, labctl: int, ended: Callable[[], int | None], verb: Verb, target: str, step: str, when: float) -> bool:
        journal = self.rig.state / "instances" / NAME / "journal.jsonl"
        skip = _entries(journal).count(step) if step else 0
        while ended() is None:
            if step and _entries(journal).count(step) > skip:
                return kill(labctl)
            if not step and time.monotonic() >= when:
                victim = labctl if target == "labctl" else _pid(self.rig.find(target, verb.where))
                if victim:
                    return kill(victim)
            time.sleep(LOOK_S)
        victim = 0 if target == "labctl" else _pid(self.rig.find(target, verb.where))
        return bool(victim) and kill(victim)  # right after it

    def _judge_status(self, outcome: Outcome) -> None:
        deadline = time.monotonic() + TRUTH_S
        while True:
            said = self.rig.run("status", "--json", timeout_s=240)
            if said.fault or said.status != 0:
                outcome.faults.append(said.fault or f"status ended with {said.status}: {said.err[-300:]}")
                return
            lie = self._lie(json.loads(said.out), outcome)
            if not lie:
                return
            if time.monotonic() > deadline:
                outcome.faults.append(lie)
                return
            time.sleep(0.3)

    def _lie(self, found: list[dict[str, object]], outcome: Outcome) -> str:
        """In what `status` differs from what /proc and the directory say; empty if in nothing."""
        record = self.rig.record(NAME)
        mine = [one for one in found if one["instance"] == NAME]
        if record is None:
            outcome.status = "not there"
            return "status shows an instance that has no record" if mine else ""
        if not mine:
            return "status does not show the instance"
        (one,) = mine
        first = self.rig.find("first", f"/instances/{NAME}")
        alive = first is not None and first.pid == record["first_pid"]
        nodes = one["nodes"]
        assert isinstance(nodes, list)
        running = {node["name"] for node in nodes if node["state"] in ("running", "paused", "shutting down")}
        outcome.status = f"{one['state']}: {', '.join(node['name'] + ' ' + node['state'] for node in nodes)}"
        if (one["state"] in ("running", "starting", "halted")) != alive:
            return f"status says {one['state']}, and the first process is {'there' if alive else 'gone'}"
        there = set(self.rig.machines(NAME)) & {node["name"] for node in nodes}
        return f"status says that {sorted(running)} run, the host runs {sorted(there)}" if running != there else ""

    def _judge_up(self, verb: Verb, outcome: Outcome) -> None:
        words = verb.again or ("up", self.lab)
        said = self.rig.run(*words, timeout_s=600)
        outcome.up = _told(said)
        if said.fault:
            outcome.faults.append(said.fault)
        if said.status != 0:
            if "hint:" not in said.err:
                outcome.faults.append(f"up does not say what to do: {said.err[-400:]}")
            said = self.rig.run(*words, timeout_s=600)
            outcome.up += f"; then {_told(said)}"
            if said.status != 0:
                outcome.faults.append(f"up does not get there: {said.err[-600:]}")
        if said.status == 0 and not verb.again:
            self._judge_nodes(verb, outcome)

    def _judge_nodes(self, verb: Verb, outcome: Outcome) -> None:
        states = {node["name"]: node["state"] for node in self.rig.json("status", "--instance", NAME)[0]["nodes"]}
        if states != dict.fromkeys(NODES, "running"):
            outcome.faults.append(f"after up: {states}")
        ping = self.rig.run("exec", "pc1", "--instance", NAME, "--", "ping", "-c", "1", "-W", "10", "192.168.1.12", timeout_s=120)
        if ping.status != 0:
            outcome.faults.append(f"after up pc1 does not reach pc2: {ping.out[-200:]}{ping.err[-200:]}")
        if verb.keeps:
            note = self.rig.run("exec", "pc1", "--instance", NAME, "--", "cat", "/root/note", timeout_s=120).out.strip()
            if note != self.note:
                outcome.faults.append(f"LOST: what was committed to the disk of pc1 ({note!r} instead of {self.note!r})")

    def _judge_end(self, outcome: Outcome, before: set[str]) -> None:
        if self.rig.record(NAME) is not None:
            said = self.rig.run("down", "--instance", NAME, timeout_s=120)
            if said.status != 0:
                outcome.faults.append(f"down ended with {said.status}: {said.fault or said.err[-400:]}")
        for point in self.rig.json("checkpoint", "ls"):
            if point["name"] == "new":
                self.rig.must("checkpoint", "rm", "new")
        collected = self.rig.run("gc", timeout_s=120)
        if collected.status != 0:
            outcome.faults.append(f"gc ended with {collected.status}: {collected.fault or collected.err[-400:]}")
        damaged = self.rig.run("image", "ls", "--json", timeout_s=120)
        if damaged.status != 0 or not all(row["usable"] for row in json.loads(damaged.out)):
            outcome.faults.append(f"LEAK: a layer is not whole: {damaged.out[-300:]}{damaged.err[-300:]}")
        outcome.faults += [f"LEAK: {leak}" for leak in self.rig.leaks(before)]


def _pid(process: Process | None) -> int:
    return process.pid if process else 0


def _entries(journal: Path) -> list[str]:
    try:
        return [json.loads(line)["what"] for line in journal.read_text().splitlines() if line.endswith("}")]
    except (OSError, ValueError):
        return []


def _told(said: Said) -> str:
    if said.status == 0:
        return "done"
    first = next((line for line in said.err.splitlines() if line.startswith("labctl:")), said.err[-100:])
    return f"{said.status} {first.removeprefix('labctl: ')[:90]}"


def summary(outcomes: list[Outcome]) -> list[Row]:
    rows = []
    for target in TARGETS:
        here = [each for each in outcomes if each.target == target]
        if here:
            verbs = ", ".join(f"{name} {sum(each.verb == name for each in here)}" for name in dict.fromkeys(each.verb for each in here))
            done = sum(each.up == "done" for each in here)
            lost = sum(bool(each.faults) for each in here)
            remark = f"{verbs}; `up` finished at once {done} times, said what to do {len(here) - done} times"
            rows.append(
                Row("SIGKILL", {"first": "the namespace's first process", "qemu": "one QEMU"}.get(target, target), len(here), lost, remark)
            )
    return rows


def table(outcomes: list[Outcome]) -> str:
    """Verbs by targets, as Markdown: how many points each, and what came of them."""
    lines = [f"| verb | {' | '.join(TARGETS)} | `up` finished | said what to do | lost |", "|---|" + "---|" * (len(TARGETS) + 3)]
    for verb in (*dict.fromkeys(each.verb for each in outcomes), ""):
        here = [each for each in outcomes if verb in ("", each.verb)]
        done = sum(each.up == "done" for each in here)
        numbers = [sum(each.target == target for each in here) for target in TARGETS]
        numbers += [done, len(here) - done, sum(bool(each.faults) for each in here)]
        lines.append(f"| {verb or 'all'} | {' | '.join(str(number) for number in numbers)} |")
    return "\n".join(lines)


def read_report(files: list[Path]) -> list[Outcome]:
    found = [Outcome(**json.loads(line)) for file in files for line in file.read_text().splitlines()]
    return [outcome for outcome in found if outcome.killed or outcome.faults]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("place", type=Path)
    parser.add_argument("--verbs", default="")
    parser.add_argument("--targets", default="")
    parser.add_argument("--share", type=int, default=1, help="only each n-th point")
    parser.add_argument("--report", type=Path, help="one line of JSON for each point")
    parser.add_argument("--table", type=Path, nargs="*", help="only print the table of reports that were written")
    chosen = parser.parse_args()
    if chosen.table:
        print(table(read_report(chosen.table)))
        return 0
    sweep, outcomes = Sweep(chosen.place), []
    for verb, target, step, part in sweep.points(_listed(chosen.verbs), _listed(chosen.targets), chosen.share):
        outcome = sweep.one(verb, target, step, part)
        if not outcome.killed:
            print(f"(missed: {target}, {verb.name} {outcome.point})", flush=True)
        outcomes.append(outcome)
        print(f"{len(outcomes):3} {target:9} {verb.name:16} {outcome.point:22} {outcome.seconds:5.0f} s  verb: {outcome.ended}", flush=True)
        print(f"      status: {outcome.status}   up: {outcome.up}", *(f"\n      FAULT {fault}" for fault in outcome.faults), flush=True)
        if chosen.report:
            with chosen.report.open("a") as file:
                file.write(json.dumps(asdict(outcome)) + "\n")
    counted = [each for each in outcomes if each.killed or each.faults]
    print(table(counted))
    for row in summary(counted):
        add_row(row)
        print(f"{row.what}: {row.tried} points, {row.lost} with a fault; {row.remark}")
    return 1 if any(each.faults for each in outcomes) else 0


def _listed(words: str) -> list[str]:
    return [word for word in words.split(",") if word]


if __name__ == "__main__":
    sys.exit(main())

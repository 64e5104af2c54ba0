"""Files with something changed, a hundred thousand and more, through the readers of strangers' text: labs, records, agents' answers.

    python -m tests.stress.fuzz PLACE [--labs 100000] [--records 50000] [--answers 50000] [--first SEED]

Whatever is read ends in what it is or in a LabError that says why: no traceback, no file over a second of CPU time, no memory that grows.
Mutants are made from the shipped labs by seeds (`tests/mutation`), so a fault is seen again by its seed: --first SEED with a count of 1.
"""

import argparse
import json
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from labctl.engine.instances import InstanceRecord, NodeRecord, PortRecord, read_record
from labctl.engine.session import Transcript
from labctl.errors import LabError, LoadError
from labctl.guest.agent import Agent
from labctl.host.hypervisor import read_answer
from labctl.lab.load import load_lab, shipped_labs
from tests.mutation import Mutant, mutants
from tests.stress.rows import Row, add_row

SLOWEST_S = 1.0  # CPU time of one file
MOST_GROWTH_MIB = 400  # of a reader's memory, from its first thousand files on
PIECE = 1000


class Readers(StrEnum):
    LAB = "lab files"
    STATE = "records of instances"
    AGENT = "answers of agents"


@dataclass
class Result:
    """`accepted`: read as something; `faults`: what must not be, with the seed that shows it."""

    tried: int = 0
    accepted: int = 0
    slowest_s: float = 0.0
    peak_mib: int = 0
    faults: list[str] = field(default_factory=list)

    def add(self, other: "Result") -> None:
        self.tried += other.tried
        self.accepted += other.accepted
        self.slowest_s = max(self.slowest_s, other.slowest_s)
        self.peak_mib = max(self.peak_mib, other.peak_mib)
        self.faults += other.faults


def fuzz(kind: Readers, count: int, place: Path, *, first: int = 0) -> Result:
    """Read `count` mutants in this process. `place` is a directory to work in."""
    place = place / f"{kind.name}-{os.getpid()}"
    place.mkdir(parents=True, exist_ok=True)
    originals, read = {Readers.LAB: _lab_reader, Readers.STATE: _state_reader, Readers.AGENT: _agent_reader}[kind](place)
    result = Result()
    began_mib = 0
    for mutant in mutants(originals, count, first=first):
        _try(read, mutant, result)
        if result.tried == min(PIECE, count // 2):
            began_mib = _peak_mib()
    result.peak_mib = _peak_mib()
    if result.peak_mib - began_mib > MOST_GROWTH_MIB:
        result.faults.append(f"memory grew from {began_mib} to {result.peak_mib} MiB within the seeds {first} to {first + count}")
    shutil.rmtree(place)
    return result


def _try(read: Callable[[Mutant], None], mutant: Mutant, result: Result) -> None:
    result.tried += 1
    began = time.process_time()
    try:
        read(mutant)
        result.accepted += 1
    except LabError as told:
        if not told.what or (isinstance(told, LoadError) and not all(fault.what for fault in told.faults)):
            result.faults.append(f"seed {mutant.seed}: an error without words")
    except Exception as bug:
        result.faults.append(f"seed {mutant.seed}: {type(bug).__name__}: {bug}"[:300])
    seconds = time.process_time() - began
    result.slowest_s = max(result.slowest_s, seconds)
    if seconds > SLOWEST_S:
        result.faults.append(f"seed {mutant.seed}: {seconds:.1f} s")


def _peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


Reader = tuple[list[bytes], Callable[[Mutant], None]]


def _lab_reader(place: Path) -> Reader:
    """Each mutant lies where its original did, beside the roles and files of that lab."""
    files = []
    for shipped in shipped_labs():
        shutil.copytree(shipped.parent, place / shipped.parent.name)
        files.append(place / shipped.parent.name / shipped.name)

    def read(mutant: Mutant) -> None:
        files[mutant.of].write_bytes(mutant.content)
        load_lab(files[mutant.of])

    return [file.read_bytes() for file in files], read


def a_record() -> InstanceRecord:
    port = PortRecord("eth1", "n0p0", "52:54:00:12:30:00", ("192.168.1.11/24", "fe80::1/64"))
    node = NodeRecord("pc1", 0, "host", 256, 1, "6ba7b810-9dad-51d1-80b4-00c04fd430c8", "169.254.1.0", (port,), "ab" * 32, ("/a", "/b"))
    nodes = (node, replace(node, name="sw1", index=1, role="l2-switch", halted=True))
    return InstanceRecord(
        id="l2-switch", lab="l2-switch", file="/labs/l2-switch/lab.yaml", variant="default", digest="cd" * 32, directory=Path("/"),
        short="/srv", created=1.5, accelerator="tcg", time_scale=4.0, first_pid=4711, first_started=815, boot_id="x", nodes=nodes,
        cables=(("pc1:eth1", "sw1:port1"),), cut=("pc1:eth1",), settings={"sw1": {"learning": False}},
        broken={"check": "x", "nodes": ["pc1"]},
    )  # fmt: skip


def _state_reader(place: Path) -> Reader:
    directory = place / "l2-switch"
    directory.mkdir()
    data: dict[str, Any] = {**asdict(a_record()), "directory": str(directory), "format": 1}

    def read(mutant: Mutant) -> None:
        (directory / "instance.json").write_bytes(mutant.content)
        read_record(directory)

    return [json.dumps(data, indent=1).encode(), json.dumps(data).replace(",", ",\n").encode()], read


ANSWERS = (
    b'{"return": {"pid": 4711}}',
    b'{"return": {"exited": true, "exitcode": 0, "out-data": "aGVsbG8gd29ybGQK", "err-data": "b2gK"}}',
    b'{"return": {"exited": true, "signal": 9, "out-truncated": true, "out-data": ""}}',
    b'{"return": {"exited": false}}',
    b'{"error": {"class": "GenericError", "desc": "no such thing"}}',
    b'{"return": [{"name": "eth0", "ip-addresses": []}]}',
)


class _Channel:
    """Answers with what a mutant says; `later`: a command is begun rightly first."""

    def __init__(self, text: str, *, later: bool) -> None:
        self._text = text
        self._later = later

    def send(self, request: dict[str, Any], *, timeout_s: float) -> Any:
        if request["execute"] == "guest-exec" and self._later:
            return {"pid": 7}
        return read_answer("pc1", self._text)


def _agent_reader(place: Path) -> Reader:
    def read(mutant: Mutant) -> None:
        channel = _Channel(mutant.content.decode(errors="replace"), later=mutant.seed % 4 > 0)
        Agent(Transcript(channel, place / "transcript.jsonl"), "pc1").run("true", timeout_s=0.0)
        (place / "transcript.jsonl").unlink(missing_ok=True)

    return list(ANSWERS), read


# --- the long run ------------------------------------------------------------------------------------------------------------


def pieces(count: int, first: int) -> Iterator[tuple[int, int]]:
    """(first seed, how many) of pieces that several processes can take."""
    for start in range(first, first + count, 5 * PIECE):
        yield start, min(5 * PIECE, first + count - start)


def fuzz_all(kind: Readers, count: int, place: Path, *, first: int = 0) -> Result:
    """The same in as many processes as there are cores."""
    whole = Result()
    with ProcessPoolExecutor() as pool:
        for done in [pool.submit(fuzz, kind, number, place, first=start) for start, number in pieces(count, first)]:
            whole.add(done.result())
    return whole


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("place", type=Path)
    parser.add_argument("--labs", type=int, default=100_000)
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--answers", type=int, default=50_000)
    parser.add_argument("--first", type=int, default=0)
    words = parser.parse_args()
    lost = 0
    for kind, count in ((Readers.LAB, words.labs), (Readers.STATE, words.records), (Readers.AGENT, words.answers)):
        began = time.monotonic()
        found = fuzz_all(kind, count, words.place, first=words.first)
        lost += len(found.faults)
        for fault in found.faults:
            print(f"FAULT {kind}: {fault}", flush=True)
        remark = f"slowest {found.slowest_s:.2f} s of CPU, at most {found.peak_mib} MiB, {found.accepted} still good"
        add_row(Row("fuzz", f"{kind} with something changed", found.tried, len(found.faults), remark))
        print(f"{kind}: {found.tried} tried, {len(found.faults)} lost, {remark}, {time.monotonic() - began:.0f} s", flush=True)
    return int(lost > 0)


if __name__ == "__main__":
    sys.exit(main())

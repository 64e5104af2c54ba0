"""Instances: labs that were started, each a directory with a record of what it is made of.

Owns `instance.json`: written whole and renamed, so a reader never meets half of one. No pydantic here: `status` and completion read
it and must be quick. What runs is asked of the host each time, never believed from the record.
"""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from labctl.engine.typed import Unfit, Unknown, built, read
from labctl.errors import StepError, UsageError
from labctl.host.locks import lock
from labctl.host.namespace import FirstProcess
from labctl.host.places import instances_directory

BRING_UP = "bring up"  # what the holder of an instance's lock does, in its note
FORMAT = 1  # raised where an older labctl would read a record wrongly; a new field with a default needs none
OLDEST = 1
UPGRADES: Mapping[int, Callable[[dict[str, Any]], None]] = {}  # format → what makes its data one format newer, for OLDEST to FORMAT - 1
REMOVE_TRIES = 5
PARTS = ("disks", "log", "run", "config", "data", "keys")
OURS = {*PARTS, "instance.json", "journal.jsonl"}
NAME = r"[a-z0-9][a-z0-9-]{0,39}"
NODE = r"[a-z][a-z0-9-]{0,19}"


@dataclass(frozen=True)
class PortRecord:
    """A NIC of a node: its name in the lab, its tap on the host, its MAC, its addresses as text."""

    name: str
    tap: str
    mac: str
    addresses: tuple[str, ...] = ()
    impairment: Mapping[str, Any] = field(default_factory=dict)  # of what leaves it, as the lab file says


@dataclass(frozen=True)
class NodeRecord:
    """A node as it was made. The fingerprints tell what an `up` after a change of the lab file must do again."""

    name: str
    index: int
    role: str
    memory_mib: int
    cpus: int
    uuid: str
    management_address: str
    ports: tuple[PortRecord, ...]
    layer: str  # digest of the image layer that its disk lies on
    chain: tuple[str, ...] = ()  # files that its disk lies on, top first
    hardware: str = ""
    setup: str = ""
    halted: bool = False

    def port(self, name: str) -> PortRecord:
        return next(port for port in self.ports if port.name == name)


@dataclass(frozen=True)
class InstanceRecord:
    """One instance. `cables` is the wiring now, `cut` the ends whose cable is pulled, `settings` what `set` changed."""

    id: str
    lab: str
    file: str
    variant: str
    digest: str
    directory: Path
    short: str
    created: float
    accelerator: str
    time_scale: float
    first_pid: int = 0
    first_started: int = 0
    boot_id: str = ""
    nodes: tuple[NodeRecord, ...] = ()
    cables: tuple[tuple[str, str], ...] = ()
    cut: tuple[str, ...] = ()
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    impairments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # interface → what was set by hand
    checkpoint: str = ""  # directory of the checkpoint that `reset` goes back to; empty if there is none
    uplink_allowed: bool = False
    broken: Mapping[str, Any] = field(default_factory=dict)  # the sabotage that `break` applied, for --reveal
    ready: bool = False
    unfinished: str = ""  # a verb that changes all nodes and was broken off, as it is typed

    @property
    def first(self) -> FirstProcess:
        return FirstProcess(self.first_pid, self.first_started)

    @property
    def alive(self) -> bool:
        return bool(self.first_pid) and self.boot_id == boot_id() and self.first.alive

    @property
    def of_this_boot(self) -> bool:
        """Whether the host has not been started again since the instance was."""
        return self.boot_id == boot_id()

    @property
    def run_directory(self) -> Path:
        return self.directory / "run"

    def need_running(self) -> None:
        """`UsageError` unless it is running."""
        if not self.alive:
            raise UsageError(f"{self.id} is not running", hint=f"labctl up {self.lab}")

    def node(self, name: str) -> NodeRecord:
        for node in self.nodes:
            if node.name == name:
                return node
        raise UsageError(f"no node '{name}' in {self.id}", hint=f"nodes: {', '.join(node.name for node in self.nodes)}")

    def named_nodes(self, words: Sequence[str]) -> tuple[str, ...]:
        """The nodes that `words` name, each once; `pc1,pc2` is two. `UsageError` if one is not there, or if none is named."""
        names = [name.strip() for word in words for name in word.split(",") if name.strip()]
        if not names:
            hint = f"nodes: {', '.join(node.name for node in self.nodes)}"
            raise UsageError("no node is named", why="what stands for nodes is empty, as a variable without a value is", hint=hint)
        return tuple(dict.fromkeys(self.node(name).name for name in names))

    def with_node(self, changed: NodeRecord) -> "InstanceRecord":
        return replace(self, nodes=tuple(changed if node.name == changed.name else node for node in self.nodes))


def boot_id() -> str:
    """Identity of this boot of the host, random(4)."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def write_record(record: InstanceRecord) -> None:
    """Replace the record on disk, durably."""
    data = {**asdict(record), "directory": str(record.directory), "format": FORMAT}
    partial = record.directory / "instance.json.new"
    with partial.open("w") as file:
        json.dump(data, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(record.directory / "instance.json")


def read_record(directory: Path) -> InstanceRecord:
    """The record in `directory`, brought to this labctl's format. `StepError` if it cannot be read or a newer labctl wrote it."""
    file = directory / "instance.json"
    try:
        data = read(file)
        if not isinstance(data, dict):
            raise Unfit("it is no object")
        upgrade(data, directory.name)
        return _checked(built(InstanceRecord, {**data, "directory": str(directory)}), directory)
    except Unknown as newer:
        raise _of_another_version(directory.name, str(newer)) from newer
    except (OSError, ValueError) as unreadable:
        raise StepError(
            f"the record of instance '{directory.name}' cannot be read", why=str(unreadable)[:300],
            hint=f"put {file} right from a copy, or give the instance up: rm -r {directory}",
        ) from unreadable  # fmt: skip


def upgrade(data: dict[str, Any], name: str) -> None:
    """Bring the data of a record to FORMAT, step by step; the format itself is taken out. `StepError` for one that is not ours."""
    found = data.pop("format", None)
    if type(found) is not int or not OLDEST <= found <= FORMAT:
        raise _of_another_version(name, f"its record has format {str(found)[:40]}, this labctl reads {OLDEST} to {FORMAT}")
    for number in range(found, FORMAT):
        UPGRADES[number](data)


def _of_another_version(name: str, why: str) -> StepError:
    return StepError(f"{name} was made by another version of labctl", why=why, hint="end it with the labctl that made it")


def _checked(record: InstanceRecord, directory: Path) -> InstanceRecord:
    """What becomes a path or the name of a machine is looked at again: a record is a file that others may have written."""
    names = [node.name for node in record.nodes]
    if record.id != directory.name:
        raise Unfit(f"it is the record of {record.id[:60]!r}")
    if len(set(names)) < len(names) or not all(re.fullmatch(NODE, name) for name in names):
        raise Unfit(f"its nodes are called {names!r}"[:200])
    return record


def list_instances() -> tuple[InstanceRecord, ...]:
    """All instances of this user, oldest first; one whose record cannot be read is left out: `unreadable` tells."""
    return tuple(sorted((found for found in _found() if isinstance(found, InstanceRecord)), key=lambda record: record.created))


def unreadable() -> tuple[StepError, ...]:
    """What is wrong with each record that cannot be read."""
    return tuple(found for found in _found() if isinstance(found, StepError))


def _found() -> Iterator[InstanceRecord | StepError]:
    for file in sorted(instances_directory().glob("*/instance.json")):
        try:
            yield read_record(file.parent)
        except StepError as refused:
            yield refused


def find_instance(lab: str | None = None, instance: str | None = None) -> InstanceRecord:
    """The instance that is meant: by its own name, by its lab's where there is one, or the only one there is. `UsageError` otherwise."""
    records = list_instances()
    if instance is not None:
        fitting = [record for record in records if record.id == instance]
    elif lab is not None:
        fitting = [record for record in records if is_of(record, lab)]
    else:
        fitting = list(records)
    if len(fitting) == 1:
        return fitting[0]
    here = ", ".join(record.id for record in (fitting or records)) or "none"
    if fitting:
        exact = [record for record in fitting if record.id == lab]
        if exact:
            return exact[0]
        raise UsageError("several instances fit", why=f"there are {here}", hint="say which: --instance NAME")
    name = instance or lab
    if name and re.fullmatch(NAME, name) and (instances_directory() / name / "instance.json").exists():
        read_record(instances_directory() / name)  # it is there and cannot be read: says why
    what = f"no instance '{name}'" if name else "no lab is up"
    raise UsageError(what, why=f"instances here: {here}" if records else "", hint=f"labctl up {lab or name or 'l2-switch'}")


def is_of(record: InstanceRecord, lab: str) -> bool:
    """Whether `lab` names this instance: its own name, its lab's, or the path of its lab's file or directory, however that is written."""
    places = (os.path.realpath(record.file), os.path.realpath(os.path.dirname(record.file)))
    return lab in (record.lab, record.id) or os.path.realpath(lab) in places  # pathlib's resolve() stumbles over links in a circle


@contextmanager
def instance_lock(name: str, doing: str, *, wait_s: float = 5.0) -> Iterator[None]:
    """Hold one instance for a change.

    The lock lies beside the directory, is there before it and goes after it: it is the note that the directory is labctl's.
    """
    directory = instances_directory() / name
    with lock(lock_file(name), f"{doing} {name}", wait_s=wait_s, keep=directory.exists):
        yield


def lock_file(name: str) -> Path:
    return instances_directory() / f".{name}.lock"


@contextmanager
def held_instance(record: InstanceRecord, doing: str) -> Iterator[InstanceRecord]:
    """Hold one instance for a change; its record as it is now that nobody else changes it. `UsageError` if it has gone meanwhile."""
    with instance_lock(record.id, doing):
        if not (record.directory / "instance.json").exists():
            raise taken_down(record.id, record.lab)
        yield read_record(record.directory)


def taken_down(name: str, lab: str) -> UsageError:
    return UsageError(f"{name} is not there any more", why="another labctl took it down", hint=f"labctl up {lab}")


def check_name(name: str) -> None:
    """`UsageError` unless `name` can be an instance's: it becomes a directory's."""
    if not re.fullmatch(NAME, name):
        raise UsageError(
            f"'{name}' cannot be an instance's name", why="lower-case letters, digits and -, at most 40", hint="--instance second"
        )


def make_directory(name: str) -> Path:
    """A new, private directory for instance `name`."""
    check_name(name)
    directory = instances_directory() / name
    directory.mkdir(parents=True, mode=0o700, exist_ok=True)
    if (left := {entry.name for entry in directory.iterdir()}) and not left & OURS:
        raise UsageError(
            f"{directory} is not labctl's", why=f"it holds {', '.join(sorted(left)[:3])}", hint="--instance NAME: another name"
        )
    for part in PARTS:
        (directory / part).mkdir(mode=0o700, exist_ok=True)
    return directory


def forget_run(directory: Path) -> None:
    """Empty what belongs to a run that has ended: libvirt would take its pids for those of new processes, and end these."""
    shutil.rmtree(directory / "run", ignore_errors=True)
    (directory / "run").mkdir(mode=0o700, exist_ok=True)


def remove_directory(directory: Path) -> None:
    """Take the instance's files away. The record goes last, so that a killed `down` can be done again."""
    for last in (False,) * (REMOVE_TRIES - 1) + (True,):  # a `status` without the lock may write a file meanwhile
        try:
            for part in sorted(directory.iterdir(), key=lambda path: path.name == "instance.json"):
                with suppress(FileNotFoundError):
                    shutil.rmtree(part) if part.is_dir() and not part.is_symlink() else part.unlink()
            return directory.rmdir()
        except OSError:
            if last:
                raise
            time.sleep(0.1)


def now() -> float:
    return time.time()

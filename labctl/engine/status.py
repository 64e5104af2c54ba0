"""`status`: what an instance is, asked of the host now. Quick: no lab file is read, no pydantic imported.

Owns LabStatus and where its figures come from: libvirt for states, /proc for memory (PSS, readable by the namespace's owner), the first
process's notes for why a machine ended, the serial log for a kernel that panicked.
"""

import contextlib
import json
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labctl.check.readable import one_line
from labctl.engine.instances import BRING_UP, InstanceRecord, lock_file
from labctl.engine.links import Cable, show_links
from labctl.engine.session import open_session
from labctl.engine.strays import machines_of
from labctl.errors import LabError
from labctl.host.hypervisor import DomainFacts, DomainState
from labctl.host.locks import holder_of
from labctl.host.namespace import start_time
from labctl.host.room import free_mib

TICKS = 100  # a second, in proc(5)'s start times
TAIL = 8192  # bytes of a serial log that are looked at
PANIC = b"Kernel panic - not syncing"


@dataclass(frozen=True)
class NodeStatus:
    """A node now. `state`: running, paused, off, lost (it should run and does not); `pss_mib`: its share of the host's memory.

    `why` says what is known of a node that is lost or paused, or whose kernel panicked.
    """

    name: str
    role: str
    state: str
    addresses: tuple[str, ...]
    memory_mib: int
    pss_mib: int | None
    why: str = ""


@dataclass(frozen=True)
class LabStatus:
    """An instance now. `state`: running, halted (all nodes off), starting (not ready yet), dead (its processes were killed), was running
    (before the host was started again); `why` says more of all but the first."""

    instance: str
    lab: str
    variant: str
    state: str
    accelerator: str
    uptime_s: float | None
    nodes: tuple[NodeStatus, ...]
    links: tuple[Cable, ...]
    pss_mib: int | None
    why: str = ""


def statuses(records: Iterable[InstanceRecord]) -> tuple[LabStatus, ...]:
    """The state of each instance that is still there when it was looked at: another labctl may have taken one down meanwhile."""
    found = [(record, status(record)) for record in records]
    return tuple(one for record, one in found if (record.directory / "instance.json").exists())


def status(record: InstanceRecord) -> LabStatus:
    """The state of one instance and of its nodes."""
    machines = {machine.name: machine.pid for machine in machines_of(record)} if record.alive else {}
    domains, trouble = _domains(record, machines) if record.alive else ({}, "")
    ends = _ends(record)
    nodes = tuple(_node_status(record, node.name, domains.get(node.name), machines.get(node.name), ends) for node in record.nodes)
    state, why = _state(record, nodes, trouble)
    memory = [node.pss_mib for node in nodes if node.pss_mib is not None]
    total = sum(memory) if memory else None
    return LabStatus(
        record.id, record.lab, record.variant, state, record.accelerator, _uptime_s(record), nodes, show_links(record), total, why
    )


def _domains(record: InstanceRecord, machines: Mapping[str, int]) -> tuple[Mapping[str, DomainFacts], str]:
    """Node → state by libvirt, else by whether its process is there; and what is the matter with libvirt."""
    try:
        with open_session(record) as session:
            return session.hypervisor.domains(), ""
    except (LabError, OSError) as unreachable:  # another labctl may take it down at this moment
        return {name: DomainFacts(name, DomainState.RUNNING) for name in machines}, str(unreachable)


def _state(record: InstanceRecord, nodes: tuple[NodeStatus, ...], trouble: str) -> tuple[str, str]:
    if not record.alive and (holder := holder_of(lock_file(record.id))):
        return "starting" if BRING_UP in holder else "dead", f"{holder} is at work on it"
    if not record.alive:
        again = f"labctl up {record.lab}{'' if record.id == record.lab else f' --instance {record.id}'} starts it with the disks it has"
        if record.first_pid and not record.of_this_boot:
            return "was running", f"the host was started again since; {again}"
        return "dead", f"its processes have ended; {again}" if record.first_pid else f"it was never started; {again}"
    if record.unfinished:
        return "starting" if not record.ready else "running", f"labctl {record.unfinished} was broken off, or is at work; type it again"
    if record.ready and nodes and all(node.state == "off" for node in nodes):
        return "halted", trouble
    return "running" if record.ready else "starting", trouble


def _node_status(
    record: InstanceRecord, name: str, facts: DomainFacts | None, pid: int | None, ends: Mapping[str, dict[str, Any]]
) -> NodeStatus:
    node = record.node(name)
    state = facts.state.value if facts else ("off" if node.halted or not record.alive else "lost")
    addresses = tuple(f"{port.name} {address}" for port in node.ports for address in port.addresses)
    why = explain_end(ends.get(name)) if state == "lost" else _trouble(record, name, facts, pid) if facts else ""
    return NodeStatus(name, node.role, state, addresses, node.memory_mib, None if pid is None else _pss_mib(pid), why)


def _trouble(record: InstanceRecord, name: str, facts: DomainFacts, pid: int | None) -> str:
    """What is the matter with a machine that exists; empty if nothing is known to be."""
    if facts.stuck:
        return f"the disk of {record.directory} is full ({free_mib(record.directory)} MiB are free); labctl up lets it run on"
    if facts.state is DomainState.PAUSED:
        return "labctl up lets it run on"
    if pid is None or (started := start_time(pid)) is None:
        return ""
    panic = last_panic(record.directory / "log" / f"serial-{name}.log", _uptime_s_of_host() - started / TICKS)
    return f"its kernel panicked: {panic}; labctl reset {name}" if panic else ""


def last_panic(log: Path, since_s: float) -> str:
    """The kernel's last words on the serial console, if they are those of a panic and were said in the last `since_s` seconds."""
    try:
        if time.time() - log.stat().st_mtime > since_s:
            return ""  # an earlier machine's
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL))
            said = file.read(TAIL)
    except OSError:
        return ""
    _, found, after = said.rpartition(PANIC)
    return one_line(after.split(b"]---")[0].strip(b": \r\n"), 120) or "no reason given" if found and after.count(b"\n") <= 2 else ""


def _ends(record: InstanceRecord) -> dict[str, dict[str, Any]]:
    """Node → the last note of how its machine's process ended."""
    found: dict[str, dict[str, Any]] = {}
    with contextlib.suppress(OSError):
        for line in (record.directory / "log" / "ended.jsonl").read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                entry = json.loads(line)
                found[str(entry["name"])] = entry
    return found


def explain_end(entry: Mapping[str, Any] | None) -> str:
    """How a machine's process ended, in words. Pure."""
    if entry is None:
        return "it was never started, or its end was not seen"
    when = time.strftime("%H:%M:%S", time.localtime(float(entry.get("time", 0))))
    number = int(entry.get("number", 0))
    if entry.get("how") == "status":
        return f"it was switched off at {when}" if number == 0 else f"QEMU ended at {when} with status {number}"
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    memory = ", as the kernel does when memory runs out" if number == signal.SIGKILL else ""
    return f"QEMU was killed at {when} by {name}{memory}"


def _uptime_s(record: InstanceRecord) -> float | None:
    if not record.alive:
        return None
    with contextlib.suppress(OSError, ValueError):
        return _uptime_s_of_host() - record.first_started / TICKS
    return None


def _uptime_s_of_host() -> float:
    return float(Path("/proc/uptime").read_text().split()[0])


def _pss_mib(pid: int) -> int | None:
    """MiB of memory that are a process's own share, proc(5)."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/smaps_rollup").read_text().split("Pss:")[1].split()[0]) // 1024
    return None

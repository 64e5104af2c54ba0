"""`status`: what an instance is, asked of the host now. Quick: no lab file is read, no pydantic imported.

Owns LabStatus and where its figures come from: libvirt for states, /proc for memory (PSS, readable by the namespace's owner).
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from labctl.engine.instances import InstanceRecord
from labctl.engine.links import Cable, show_links
from labctl.engine.session import open_session
from labctl.errors import StepError


@dataclass(frozen=True)
class NodeStatus:
    """A node now. `state`: running, paused, off, lost (it should run and does not); `pss_mib`: its share of the host's memory."""

    name: str
    role: str
    state: str
    addresses: tuple[str, ...]
    memory_mib: int
    pss_mib: int | None


@dataclass(frozen=True)
class LabStatus:
    """An instance now. `state`: running, starting (not ready yet), dead (it ran before a reboot or a kill)."""

    instance: str
    lab: str
    variant: str
    state: str
    accelerator: str
    uptime_s: float | None
    nodes: tuple[NodeStatus, ...]
    links: tuple[Cable, ...]
    pss_mib: int | None


def status(record: InstanceRecord) -> LabStatus:
    """The state of one instance and of its nodes."""
    states: dict[str, str] = {}
    trouble = ""
    if record.alive:
        try:
            with open_session(record) as session:
                states = {name: facts.state.value for name, facts in session.hypervisor.domains().items()}
        except StepError as unreachable:
            trouble = unreachable.what
    memory = _memory_of(record) if record.alive else {}
    nodes = tuple(_node_status(record, node.name, states, memory) for node in record.nodes)
    state = "dead" if not record.alive else trouble or ("running" if record.ready else "starting")
    total = sum(value for value in memory.values()) if memory else None
    return LabStatus(record.id, record.lab, record.variant, state, record.accelerator, _uptime_s(record), nodes, show_links(record), total)


def _node_status(record: InstanceRecord, name: str, states: dict[str, str], memory: dict[str, int]) -> NodeStatus:
    node = record.node(name)
    state = states.get(name) or ("off" if node.halted or not record.alive else "lost")
    addresses = tuple(f"{port.name} {address}" for port in node.ports for address in port.addresses)
    return NodeStatus(name, node.role, state, addresses, node.memory_mib, memory.get(name))


def _uptime_s(record: InstanceRecord) -> float | None:
    if not record.alive:
        return None
    with contextlib.suppress(OSError, ValueError):
        return float(Path("/proc/uptime").read_text().split()[0]) - record.first_started / 100
    return None


def _memory_of(record: InstanceRecord) -> dict[str, int]:
    """Node → PSS in MiB of its QEMU, found among the processes of the instance's own PID namespace."""
    with contextlib.suppress(OSError):
        home = Path(f"/proc/{record.first_pid}/ns/pid").readlink()
        return dict(found for pid in _processes_in(home) if (found := _qemu(pid)) is not None)
    return {}


def _processes_in(namespace: Path) -> list[Path]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "ns/pid").readlink() == namespace:
                found.append(process)
    return found


def _qemu(process: Path) -> tuple[str, int] | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        words = (process / "cmdline").read_bytes().split(b"\0")
        if b"qemu-system" not in words[0]:
            return None
        name = words[words.index(b"-name") + 1].decode().removeprefix("guest=").partition(",")[0]
        rollup = (process / "smaps_rollup").read_text().split("Pss:")[1].split()[0]
        return name, int(rollup) // 1024
    return None

"""What killed commands left inside an instance that runs: machines that no node is, and QEMUs that libvirtd does not know.

Owns how they are told from the nodes' own: by the record, by libvirt's list, and by the PID namespace of the instance.
"""

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from labctl.engine.instances import InstanceRecord
from labctl.engine.session import Session
from labctl.engine.waiting import wait_until

END_S = 20.0


@dataclass(frozen=True)
class Machine:
    """A QEMU process of an instance: its pid on the host, the name of its domain."""

    pid: int
    name: str


def remove_strays(session: Session) -> None:
    """End machines that are no node's, and QEMUs that libvirtd lost when it was killed: they hold the disks that a node needs.

    For the holder of the instance's lock: nobody else is making a machine then.
    """
    nodes = {node.name for node in session.record.nodes}
    known = set(session.hypervisor.domains())
    for name in known - nodes:
        session.hypervisor.stop(name)
    lost = [machine for machine in machines_of(session.record) if machine.name not in known & nodes]
    for machine in lost:
        with contextlib.suppress(ProcessLookupError):
            os.kill(machine.pid, signal.SIGKILL)
    if lost:
        wait_until("stray machines have ended", lambda: not set(lost) & set(machines_of(session.record)), timeout_s=END_S)


def machines_of(record: InstanceRecord) -> tuple[Machine, ...]:
    """The QEMU processes in the instance's own PID namespace, asked of /proc; none if it does not run."""
    try:
        home = Path(f"/proc/{record.first_pid}/ns/pid").readlink()
    except OSError:
        return ()
    return tuple(machine for place in Path("/proc").glob("[0-9]*") if (machine := _machine(place, home)) is not None)


def _machine(place: Path, home: Path) -> Machine | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        words = (place / "cmdline").read_bytes().split(b"\0")
        if b"qemu-system" in words[0] and (place / "ns/pid").readlink() == home:
            return Machine(int(place.name), words[words.index(b"-name") + 1].decode().removeprefix("guest=").partition(",")[0])
    return None

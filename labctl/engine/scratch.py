"""A machine of labctl's own, for making things: no cable, no lab, in namespaces that are gone when the block is left.

Owns the scratch instance. Used to run a node's `run:` commands for an image layer, and to boot the machine that warm starts copy.
"""

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.engine.instances import InstanceRecord, boot_id, now
from labctl.engine.session import Session, open_session, start_libvirtd
from labctl.host.accelerator import Accelerator
from labctl.host.domain_xml import DomainSpec, Nic, Ram, worker_socket
from labctl.host.making import making, new_name
from labctl.host.namespace import borrowed_namespace, short_place
from labctl.host.places import cache_directory, scratch_directory, state_directory

if TYPE_CHECKING:
    from labctl.host.images import LayerFiles

NAME = "scratch"
BOOT_S = 40.0


@contextlib.contextmanager
def scratch_session(accelerator: Accelerator) -> Iterator[Session]:
    """Namespaces and a hypervisor for one piece of work; they end with it or with this process, and `gc` finds the directory."""
    with making(scratch_directory() / new_name("machine"), "a machine for an image") as directory, contextlib.ExitStack() as stack:
        for part in ("log", "run", "config", "data"):
            (directory / part).mkdir()
        short = short_place(state_directory(), cache_directory(), directory)
        first = stack.enter_context(borrowed_namespace(directory, short))
        record = InstanceRecord(
            id=directory.name, lab="", file="", variant="", digest="", directory=directory, short=short, created=now(),
            accelerator=accelerator.kind, time_scale=accelerator.time_scale, first_pid=first.pid, first_started=first.started,
            boot_id=boot_id(),
        )  # fmt: skip
        start_libvirtd(record)
        yield stack.enter_context(open_session(record))


def boot_scratch(
    session: Session, layer: "LayerFiles", disk: Path, *, memory_mib: int, cpus: int, ram: Ram | None = None, nics: tuple[Nic, ...] = ()
) -> None:
    """Boot a machine on `disk`, an overlay of `layer`, and wait until its agent answers."""
    session.hypervisor.start(scratch_spec(session.record, layer, disk, memory_mib=memory_mib, cpus=cpus, ram=ram, nics=nics))
    session.agent(NAME).wait_until_up(session.deadline(BOOT_S))


def scratch_spec(
    record: InstanceRecord, layer: "LayerFiles", disk: Path, *, memory_mib: int, cpus: int, ram: Ram | None, nics: tuple[Nic, ...] = ()
) -> DomainSpec:
    short = Path(record.short)
    return DomainSpec(
        name=NAME, uuid=str(uuid.uuid4()), accelerator=record.accelerator, memory_mib=memory_mib, cpus=cpus,
        kernel=layer.kernel, initrd=layer.initrd, cmdline=layer.cmdline, xen=layer.xen, disk=disk, disk_chain=layer.disks, nics=nics,
        console=short / "run" / "console", worker=short / "run" / worker_socket(NAME), serial_log=short / "log" / "serial.log", ram=ram,
    )  # fmt: skip

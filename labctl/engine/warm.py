"""Warm images: a machine is booted once for each key, settled and saved; nodes are clones of it.

Owns how one is made (in a scratch instance, with the management NIC only) and how a clone starts. A NIC's MAC travels in the saved state:
the lesson's NICs are plugged into each clone, so that no other MAC is ever seen there; the management NIC, which no lesson sees, is given
its own. A clone's RAM is a file of its own when the lab is to be saved afterwards, else the saved one, copied where it is written.
"""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.engine.events import Reporter, step
from labctl.engine.instances import NodeRecord
from labctl.engine.links import nic_at
from labctl.engine.nodes import domain_spec, management_address, management_mac, management_nic
from labctl.engine.scratch import NAME, boot_scratch, scratch_session, scratch_spec
from labctl.engine.session import Session, disk_of, make_overlay
from labctl.errors import StepError
from labctl.guest.bundle import render_bundle
from labctl.guest.worker import PROGRAM, Worker
from labctl.host import wires
from labctl.host.accelerator import Accelerator
from labctl.host.domain_xml import DomainSpec, Ram
from labctl.host.places import cache_directory
from labctl.host.room import allocate, give_back
from labctl.host.start_trial import FAILS, STREAM, WORKS, known_trial, remember_trial
from labctl.host.warmstarts import MachineKey, SavedMachine, SavedStore, copy_ram, machine_key
from labctl.lab.data import TEMPLATES
from labctl.lab.topology import Lab

if TYPE_CHECKING:
    from labctl.host.images import LayerFiles

SETTLE_S = 60.0
ANSWER_S = 15.0
NOBODY = -1  # a machine that is to be cloned has the management address before that of the first node
# What a boot starts is through: systemd says so, and the processor has had nothing to do for a second, so the console's shell is up too.
# If it is never so quiet, what there is must do. In its copies NICs are plugged in first (90-copies.rules). sshd runs by then, since its
# start is most of what a first connection waits for: with a key that is gone at once, as no node has one yet. It accepts connections
# only; each is served by an sshd of its own, which reads the node's key (OpenSSH, sshd.c: rexec). Which one it is, labctl-sshd says.
SETTLED = """\
systemctl is-system-running --wait >/dev/null
ssh-keygen -q -t ed25519 -N '' -f /run/key && ln -s /run/key /etc/ssh/ssh_host_ed25519_key
systemctl start ssh.service && cp -p /run/sshd.pid /run/labctl-sshd
rm -f /etc/ssh/ssh_host_ed25519_key /run/key /run/key.pub
idle() { read -r _ _ _ _ idle _ </proc/stat; }
for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  idle; before=$idle
  sleep 1
  idle; [ $((idle - before)) -lt 90 ] || break
done
touch /run/labctl-plugging
sync
"""


def warm_store() -> SavedStore:
    return SavedStore(cache_directory() / "warm")


def key_of(layer: "LayerFiles", memory_mib: int, cpus: int, accelerator: str, waits: str = PROGRAM[-1]) -> MachineKey:
    return machine_key(layer.digest, memory_mib, cpus, accelerator, TEMPLATES, waits)


def machine_keys(lab: Lab, layers: "Mapping[str, LayerFiles]", accelerator: str, waits: str = PROGRAM[-1]) -> dict[str, str]:
    """Node → digest of its machine's key: what a saved one must match. `waits`: what waits in it, this labctl's very program."""
    return {node.name: key_of(layers[node.name], node.memory_mib, node.cpus, accelerator, waits).digest for node in lab.nodes}


def warm_image(
    layer: "LayerFiles", memory_mib: int, cpus: int, accelerator: Accelerator, report: Reporter, *, whole: bool = False
) -> SavedMachine:
    """The saved machine for this layer and hardware, made now if there is none: once, also when two want it at the same moment.

    `whole`: saved as one stream, for hosts where a machine does not start from a RAM file.
    """
    digest = key_of(layer, memory_mib, cpus, accelerator.kind).digest + ("-whole" if whole else "")
    store = warm_store()
    if known := store.find(digest):
        return SavedMachine(known)

    def build(place: Path) -> None:
        with step(report, f"boot a machine of {memory_mib} MiB once, to be cloned"):
            _boot_and_save(layer, SavedMachine(place), memory_mib, cpus, accelerator, whole=whole)

    about = {"kind": "warm image", "layer": layer.digest, "memory_mib": memory_mib, "cpus": cpus, "accelerator": accelerator.kind}
    return SavedMachine(store.make(digest, build, about))


def _boot_and_save(
    layer: "LayerFiles", saved: SavedMachine, memory_mib: int, cpus: int, accelerator: Accelerator, *, whole: bool
) -> None:  # fmt: skip
    allocate(saved.ram, memory_mib, "the memory of a machine to be cloned")
    make_overlay(layer.disks[0], saved.disk)
    with scratch_session(accelerator) as session:
        ram = Ram(saved.ram, shared=True, incoming=False)
        wires.carry_out(session.record.first, [wires.make_tap(wires.management_tap(NOBODY))])
        boot_scratch(session, layer, saved.disk, memory_mib=memory_mib, cpus=cpus, ram=ram, nics=(management_nic(NOBODY),))
        session.agent(NAME).run(SETTLED, timeout_s=session.deadline(SETTLE_S))
        with session.start_worker(NAME):  # its clones find it waiting for work
            pass
        session.hypervisor.pause(NAME)
        if whole:
            session.hypervisor.save_stream(NAME, saved.stream)
        else:
            session.hypervisor.save_state(NAME, saved.state)
        session.hypervisor.stop(NAME)
        if whole:
            saved.ram.unlink()
        else:
            give_back(saved.ram)
        _try(session, layer, saved, memory_mib, cpus)


def _try(session: Session, layer: "LayerFiles", saved: SavedMachine, memory_mib: int, cpus: int) -> None:
    """Start what was saved, and remember how that went: it decides how machines start on this host. One failure may be an accident."""
    cache, kind = cache_directory(), session.record.accelerator
    try:
        seconds = _start_once(session, layer, saved, memory_mib, cpus)
    except StepError:
        try:
            seconds = _start_once(session, layer, saved, memory_mib, cpus)
        except StepError as failed:
            if session.record.alive:
                remember_trial(cache, kind, FAILS, f"{failed.what}: {failed.why}")
            raise
    known, way = known_trial(cache, kind), STREAM if saved.stream.exists() else WORKS
    if way == STREAM and known is not None and known.way == WORKS:
        return  # a person's choice, not this host's best
    remember_trial(cache, kind, way, f"tried: its agent answered after {seconds:.1f} s")


def _start_once(session: Session, layer: "LayerFiles", saved: SavedMachine, memory_mib: int, cpus: int) -> float:
    """Seconds until a clone of `saved` answers; it is stopped again."""
    began = time.monotonic()
    disk = session.record.directory / "trial.qcow2"
    try:
        make_overlay(saved.disk, disk)
        ram = _ram_for_copy(saved, session.record.directory / "trial.ram", memory_mib, own=False)
        nics = (management_nic(NOBODY),)
        spec = scratch_spec(session.record, layer, disk, memory_mib=memory_mib, cpus=cpus, ram=ram, nics=nics)
        spec = replace(spec, disk_chain=(saved.disk, *layer.disks))
        _start_saved(session, spec, saved)
        session.hypervisor.resume(NAME)
        session.agent(NAME).wait_until_up(session.deadline(ANSWER_S), every_s=0.02)
    finally:
        session.hypervisor.stop(NAME)
    return time.monotonic() - began


def start_clone(
    session: Session, node: NodeRecord, layer: "LayerFiles", saved: SavedMachine, stack: ExitStack, *, to_be_saved: bool
) -> tuple[NodeRecord, Worker]:
    """Start `node` as a clone of `saved` and plug its NICs in: its record, with what its disk lies on now, and who works in it.

    The latter stays open until `stack` ends.
    """
    node = replace(node, chain=(str(saved.disk), *(str(disk) for disk in layer.disks)))
    make_overlay(saved.disk, disk_of(session.record, node.name))
    ram = _ram_for_copy(saved, ram_of(session, node.name), node.memory_mib, own=to_be_saved)
    spec = domain_spec(session.record, node, layer, ram=ram, cabled=False)
    _start_saved(session, spec, saved)
    for port in node.ports:  # while it stands still: it finds all of them at once
        session.hypervisor.attach(node.name, nic_at(session.record, f"{node.name}:{port.name}"))
    worker, limit = stack.enter_context(session.worker(node.name)), session.deadline(ANSWER_S)
    number = worker.give("step", render_bundle("management", (), _management_script(node), first=False), timeout_s=limit)
    session.hypervisor.resume(node.name)
    done = worker.answer(number, timeout_s=limit)
    if done.status != 0:
        raise StepError(f"{node.name}: its management NIC does not take its address", why=done.text.strip())
    return node, worker


def _management_script(node: NodeRecord) -> str:
    """The clone's management NIC gets the node's own MAC and address, which it has from the beginning when it boots."""
    return f"""\
ip -n mgmt -batch - <<END
link set mgmt0 address {management_mac(node.index)}
addr del {management_address(NOBODY)}/{wires.MANAGEMENT_PREFIX} dev mgmt0
addr add {node.management_address}/{wires.MANAGEMENT_PREFIX} dev mgmt0
END
"""


def _ram_for_copy(saved: SavedMachine, place: Path, memory_mib: int, *, own: bool) -> Ram:
    """The saved RAM, copied where it is written; or a file of the copy's own at `place`, if it is to be saved or loaded whole."""
    if saved.stream.exists():
        allocate(place, memory_mib, "the memory of a machine")
        return Ram(place, shared=True, incoming=True)
    if own:
        copy_ram(saved.ram, place, memory_mib)
        return Ram(place, shared=True, incoming=True)
    return Ram(saved.ram, shared=False, incoming=True)


def _start_saved(session: Session, spec: DomainSpec, saved: SavedMachine) -> None:
    whole = saved.stream.exists()
    session.hypervisor.start_saved(spec, saved.stream if whole else saved.state, whole=whole)


def ram_of(session: Session, node: str) -> Path:
    return session.record.directory / "disks" / f"{node}.ram"

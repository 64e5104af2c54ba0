"""A whole lab, saved at one instant when it was ready, and started again from there: disks, RAM, device states, names, addresses.

Owns the key (the lab's digest and every node's machine), the saving (all nodes stand still before the first is saved), the start of nodes
from a checkpoint with their secrets renewed, and the cache's limit. Instances have namespaces of their own, so a copy keeps the lab's
MACs and addresses and nothing is provisioned again.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.engine.events import Reporter, step
from labctl.engine.instances import NodeRecord, write_record
from labctl.engine.nodes import domain_spec
from labctl.engine.parallel import workers
from labctl.engine.renew import call_off_renewal, prepare_renewal, renew
from labctl.engine.session import Session, disk_of, make_overlay
from labctl.engine.typed import Unfit, built, read
from labctl.engine.warm import machine_keys, ram_of
from labctl.errors import StepError
from labctl.host.domain_xml import Ram
from labctl.host.places import cache_directory
from labctl.host.room import MIB, give_back, need_room
from labctl.host.warmstarts import SavedMachine, SavedStore, move_file
from labctl.lab.plan import hardware_of, setup_of
from labctl.lab.topology import Lab

if TYPE_CHECKING:
    from labctl.host.images import LayerFiles

STATE_MIB = 4  # of a machine's devices, on disk: 0.7 in design §4
FORMAT = 4
STOPS_AT_ONCE = 8


def checkpoint_store() -> SavedStore:
    return SavedStore(cache_directory() / "checkpoints")


def checkpoint_digest(lab: Lab, layers: "Mapping[str, LayerFiles]", accelerator: str) -> str:
    """The key of a lab's own checkpoint: everything that decides the machines as they are when it is ready."""
    ready = [observation.model_dump(mode="json") for observation in lab.ready]
    machines = machine_keys(lab, layers, accelerator)
    nodes = [[node.name, node.index, hardware_of(node), setup_of(lab, node), machines[node.name]] for node in lab.nodes]
    links = [str(link.name) for link in lab.links]
    return hashlib.sha256(json.dumps([FORMAT, lab.name, nodes, links, ready], sort_keys=True).encode()).hexdigest()


def chains_of(place: Path) -> Mapping[str, tuple[str, ...]]:
    """Node → the files that its machine lies on, top first, of a checkpoint or a point. `StepError` if that cannot be read."""
    try:
        data = read(place / "about.json")
        return built(dict[str, tuple[str, ...]], data.get("chains") if isinstance(data, dict) else None, "chains")
    except (OSError, Unfit) as unreadable:
        raise StepError(
            f"the description of {place.name[:16]} cannot be read", why=str(unreadable)[:300], hint=f"rm -r {place}"
        ) from unreadable


def starts_at_once() -> int:
    """As many starts at a time as cores: on 2 cores two were best, four slower (design §4)."""
    return os.cpu_count() or 1


def save_lab(session: Session, digest: str, report: Reporter) -> Path:
    """Save all nodes, which run on RAM files of their own, at one instant, and stop them: they must not write into what was saved.

    If a state cannot be saved, none is: all run on, on what they have.
    """
    store = checkpoint_store()
    names = [node.name for node in session.record.nodes]
    with step(report, "save the lab as it is"), store.half_made(digest) as place, ThreadPoolExecutor(starts_at_once()) as pool:
        _need_room_to_save(session, place)
        paused: list[str] = []
        try:
            list(pool.map(lambda name: prepare_renewal(session, name), names))
            for name in names:
                paused.append(name)
                session.hypervisor.pause(name)
            list(pool.map(lambda name: _save_state(session, name, place), names))
        except BaseException:
            run_on(session, pool, paused, names)
            raise
        with ThreadPoolExecutor(STOPS_AT_ONCE) as many:  # nearly all of it is waiting
            list(many.map(lambda name: _take_files(session, name, place), names))
        chains = {node.name: [f"{digest}/{node.name}", *node.chain] for node in session.record.nodes}
        about = {"kind": "checkpoint", "lab": session.record.lab, "chains": chains}
        (place / "about.json").write_text(json.dumps(about, indent=1))
        return store.keep(place, digest)


def run_on(session: Session, pool: ThreadPoolExecutor, paused: Sequence[str], names: Sequence[str]) -> None:
    """All that stand still run on, and nobody waits in any of `names`; a machine that does not is told once the others do.

    `pool` is that of the preparations: those of them that were begun end first.
    """
    failures: list[StepError] = []
    for name in paused:
        try:
            session.hypervisor.resume(name)
        except StepError as failed:
            failures.append(failed)
    list(pool.map(lambda name: call_off_renewal(session, name), names))
    if failures:
        raise failures[0]


def _need_room_to_save(session: Session, place: Path) -> None:
    """`NoRoom` before anything stands still: for the states, and where the checkpoint lies on another file system for all files."""
    disks = session.record.directory / "disks"
    moved = place.stat().st_dev != disks.stat().st_dev
    files = sum(file.stat().st_blocks * 512 for file in disks.iterdir()) // MIB if moved else 0
    need_room(place, files + STATE_MIB * len(session.record.nodes), "the lab's checkpoint")


def _save_state(session: Session, name: str, place: Path) -> None:
    saved = SavedMachine(place / name)
    saved.directory.mkdir()
    session.hypervisor.save_state(name, saved.state)


def _take_files(session: Session, name: str, place: Path) -> None:
    saved = SavedMachine(place / name)
    session.hypervisor.stop(name)
    move_file(ram_of(session, name), saved.ram)
    move_file(disk_of(session.record, name), saved.disk)
    give_back(saved.ram)


def start_from(session: Session, place: Path, lab: Lab, layers: "Mapping[str, LayerFiles]", names: Sequence[str], report: Reporter) -> None:
    """Start these nodes from the checkpoint in `place`, each with its secrets renewed."""
    chains = chains_of(place)

    def one(name: str) -> NodeRecord:
        with step(report, f"start {name} from the checkpoint", name):
            saved = SavedMachine(place / name)
            chain = (str(saved.disk), *chains[name][1:])
            node = replace(session.record.node(name), chain=chain, halted=False)
            _start_node(session, node, layers[name], saved)
            renew(session, lab, name, lambda: session.hypervisor.resume(name))
            return node

    with workers() as pool:
        for node in list(pool.map(one, names)):
            session.record = session.record.with_node(node)
    write_record(session.record)


def _start_node(session: Session, node: NodeRecord, layer: "LayerFiles", saved: SavedMachine) -> None:
    """It stands still until it is resumed."""
    session.hypervisor.stop(node.name)
    make_overlay(saved.disk, disk_of(session.record, node.name))
    ram = Ram(saved.ram, shared=False, incoming=True)
    session.hypervisor.start_saved(domain_spec(session.record, node, layer, ram=ram), saved.state)

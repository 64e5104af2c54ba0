"""Points of a person's own in a running lab: `checkpoint save`, `goto`, `ls`, `rm`. The lab runs on after a save.

Owns the directory of points (state, not cache: they are somebody's work) and how one is made: all nodes stand still, each is saved as a
full stream with a copy of its disk, and runs on; then each stream is loaded once into a RAM file, so that a point starts like any
checkpoint. `goto` brings nodes, cables and settings back to that instant.
"""

import contextlib
import json
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.engine.checkpoints import STOPS_AT_ONCE, run_on, start_from, starts_at_once
from labctl.engine.events import Reporter, step
from labctl.engine.instances import NAME, InstanceRecord, NodeRecord, list_instances, now, write_record
from labctl.engine.links import plug
from labctl.engine.nodes import domain_spec, taps_of
from labctl.engine.renew import prepare_renewal
from labctl.engine.session import Session, disk_of
from labctl.engine.typed import Unfit, Unknown, built, read
from labctl.engine.warm import machine_keys
from labctl.errors import HostError, StepError, UsageError
from labctl.guest.worker import PROTOCOL
from labctl.host import wires
from labctl.host.domain_xml import Ram, worker_socket
from labctl.host.image_store import chain_of
from labctl.host.places import state_directory
from labctl.host.room import MAKE_ROOM, MIB, allocate, give_back, need_room
from labctl.host.run import run
from labctl.host.warmstarts import SavedMachine, SavedStore, size_on_disk
from labctl.lab.topology import Lab

if TYPE_CHECKING:
    from labctl.host.images import LayerFiles

COPY_S = 120.0
FORMAT = 1  # of About
WAITS = f"protocol {PROTOCOL}"  # they are somebody's work: a later program of the same protocol renews them too


@dataclass(frozen=True)
class Point:
    """A saved point. `made` in seconds since 1970; `size_bytes` on disk."""

    name: str
    lab: str
    variant: str
    made: float
    nodes: int
    size_bytes: int
    place: Path


@dataclass(frozen=True)
class About:
    """What a point says of itself, in `about.json`. `keys`: what each node's machine must match; `chains`: what its disk lies on."""

    lab: str
    variant: str
    made: float
    keys: Mapping[str, str]
    settings: Mapping[str, Mapping[str, Any]]
    cables: tuple[tuple[str, str], ...]
    cut: tuple[str, ...]
    chains: Mapping[str, tuple[str, ...]]
    impairments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    kind: str = "point"
    format: int = 1


def point_store(lab: str) -> SavedStore:
    return SavedStore(state_directory() / "checkpoints" / lab)


def list_points(lab: str | None = None) -> tuple[Point, ...]:
    """The points of one lab, or of all; oldest first."""
    root = state_directory() / "checkpoints"
    places = [place for labs in root.glob("*") if lab in (None, labs.name) for place in SavedStore(labs).listed()]
    points = []
    for place in places:
        with contextlib.suppress(OSError, ValueError, KeyError):  # another labctl may take it away at this moment
            points.append(_point(place))
    return tuple(sorted(points, key=lambda point: point.made))


def _point(place: Path) -> Point:
    """A point whose description cannot be read is listed, so that it can be removed."""
    try:
        about = _about(place)
    except StepError:
        return Point(place.name, place.parent.name, "unreadable", 0.0, 0, size_on_disk(place), place)
    return Point(place.name, about.lab, about.variant, about.made, len(about.chains), size_on_disk(place), place)


def find_point(lab: str, name: str) -> Path:
    """The directory of a point; `UsageError` says which there are."""
    place = point_store(lab).find(_checked(name))
    if place is None:
        known = ", ".join(point.name for point in list_points(lab))
        raise UsageError(f"no checkpoint '{name}' of {lab}", hint=f"there are: {known}" if known else f"labctl checkpoint save {name}")
    return place


def remove_point(lab: str, name: str) -> None:
    """Remove a point for good. `UsageError` while a node lies on it: its disk would be gone too."""
    place = find_point(lab, name)
    disks = [(record.id, disk_of(record, node.name)) for record in list_instances() for node in record.nodes]
    if users := sorted({instance for instance, disk in disks if any(file.is_relative_to(place) for file in lies_on(disk))}):
        raise UsageError(
            f"{', '.join(users)} runs on the checkpoint '{name}'", why="nodes went back to it, and their disks lie on it",
            hint=f"labctl reset {users[0]}, or labctl down {users[0]}, then again",
        )  # fmt: skip
    point_store(lab).remove(place)


def lies_on(disk: Path) -> tuple[Path, ...]:
    """The files that a disk lies on; none if it goes at this moment, or if they are not there."""
    try:
        return chain_of(disk)
    except StepError:
        return ()


def disks_in(place: Path) -> tuple[Path, ...]:
    """The disks of a warm image (one machine) or of a checkpoint (a directory for each)."""
    return (*place.glob("disk.qcow2"), *place.glob("*/disk.qcow2"))


def _checked(name: str) -> str:
    if not re.fullmatch(NAME, name):
        raise UsageError(f"'{name}' cannot be a checkpoint's name", why="lower-case letters, digits and -, at most 40")
    return name


def _about(place: Path) -> About:
    """`StepError` if it cannot be read, or a newer labctl wrote it."""
    try:
        about = built(About, read(place / "about.json"))
        if about.format > FORMAT:
            raise Unknown(f"it has format {about.format}, this labctl reads {FORMAT}")
        return about
    except (OSError, Unfit) as unreadable:
        what = "was saved by a newer labctl" if isinstance(unreadable, Unknown) else "cannot be read"
        raise StepError(
            f"the checkpoint '{place.name}' {what}", why=str(unreadable)[:300], hint=f"labctl checkpoint rm {place.name}"
        ) from unreadable


# --- save --------------------------------------------------------------------------------------------------------------------


def save_point(session: Session, lab: Lab, layers: "Mapping[str, LayerFiles]", name: str, report: Reporter) -> Point:
    """Save the lab as it is now under `name`; it runs on. `UsageError` if the name is taken or a node is off."""
    store = point_store(lab.name)
    if store.find(_checked(name)) is not None:
        raise UsageError(f"there is a checkpoint '{name}' of {lab.name} already", hint=f"labctl checkpoint rm {name}")
    nodes = session.record.nodes
    if off := [node.name for node in nodes if node.name not in session.hypervisor.domains()]:
        raise UsageError(f"{', '.join(off)} is off", why="a checkpoint holds all nodes running", hint=f"labctl start {' '.join(off)}")
    with store.half_made(name) as place:
        _need_room(session, place)
        _save_streams(session, place, report)
        with _spare_taps(session), ThreadPoolExecutor(starts_at_once()) as pool:
            list(pool.map(lambda node: _load_once(session, node, layers[node.name], place, report), nodes))
        (place / "about.json").write_text(json.dumps(_description(session.record, lab, layers, name), indent=1))
        return _point(store.keep(place, name))


def _need_room(session: Session, place: Path) -> None:
    """`NoRoom` before anything stands still: each node's memory twice for a moment (stream and RAM file), and its disk with a copy."""
    disks = sum(disk_of(session.record, node.name).stat().st_blocks * 512 for node in session.record.nodes) // MIB
    need_room(place, 2 * (sum(node.memory_mib for node in session.record.nodes) + disks), "the checkpoint")


def _description(record: InstanceRecord, lab: Lab, layers: "Mapping[str, LayerFiles]", name: str) -> dict[str, Any]:
    about = About(
        lab=lab.name,
        variant=record.variant,
        made=now(),
        keys=machine_keys(lab, layers, record.accelerator, WAITS),
        settings=record.settings,
        impairments=record.impairments,
        cables=record.cables,
        cut=record.cut,
        chains={node.name: (name, *node.chain) for node in record.nodes},
    )
    return asdict(about)


def _save_streams(session: Session, place: Path, report: Reporter) -> None:
    """All stand still before the first is saved; all run on whatever happens. Only what is saved waits for its renewal."""
    names = [node.name for node in session.record.nodes]
    paused: list[str] = []
    with ThreadPoolExecutor(starts_at_once()) as pool:
        try:
            with step(report, f"get {len(names)} nodes ready to be copied"):
                list(pool.map(lambda name: prepare_renewal(session, name, start=True), names))
            with step(report, f"stand still and save {len(names)} nodes"):
                for name in names:
                    paused.append(name)
                    session.hypervisor.pause(name)
                list(pool.map(lambda name: _save_stream(session, name, place), names))
        finally:
            run_on(session, pool, paused, names)


def _save_stream(session: Session, name: str, place: Path) -> None:
    saved = SavedMachine(place / name)
    saved.directory.mkdir()
    session.hypervisor.save_stream(name, saved.directory / "stream")
    argv = ("cp", "--sparse=always", "--reflink=auto", str(disk_of(session.record, name)), str(saved.disk))
    copied = run(argv, timeout_s=COPY_S, check=False)
    if copied.status != 0:
        raise HostError(f"the disk of {name} cannot be copied", why=copied.complaint, hint=MAKE_ROOM)


def _spare(tap: str) -> str:
    """Name of the tap that stands in while a machine that never runs is loaded: its state fits no other kind of connection."""
    return f"x{tap}"


@contextlib.contextmanager
def _spare_taps(session: Session) -> Iterator[None]:
    names = [_spare(tap) for node in session.record.nodes for tap in taps_of(node)]
    wires.carry_out(session.record.first, [wires.make_tap(name) for name in names])
    try:
        yield
    finally:
        wires.carry_out(session.record.first, [wires.remove_tap(name) for name in names])


def _load_once(session: Session, node: NodeRecord, layer: "LayerFiles", place: Path, report: Reporter) -> None:
    """Turn the stream into a RAM file and a device state, in a machine that never runs."""
    saved = SavedMachine(place / node.name)
    stream = saved.directory / "stream"
    with step(report, f"load the memory of {node.name} into a file", node.name):
        spec = domain_spec(session.record, node, layer, ram=Ram(saved.ram, shared=True, incoming=True))
        standing = f"saving-{node.name}"
        nics = tuple(replace(nic, tap=_spare(nic.tap)) for nic in spec.nics)
        console, worker = spec.console.with_name(f"console-{standing}"), spec.worker.with_name(worker_socket(standing))
        disk = saved.directory / "loading.qcow2"
        shutil.copy2(saved.disk, disk)
        allocate(saved.ram, node.memory_mib, f"the memory of {node.name}")
        spec = replace(spec, name=standing, uuid=str(uuid.uuid4()), nics=nics, console=console, worker=worker, disk=disk)
        try:
            session.hypervisor.start_saved(spec, stream, whole=True)
            session.hypervisor.save_state(standing, saved.state)
            give_back(saved.ram)
        finally:
            session.hypervisor.stop(standing)
            disk.unlink(missing_ok=True)
            stream.unlink(missing_ok=True)


# --- goto --------------------------------------------------------------------------------------------------------------------


def fitting_point(record: InstanceRecord, lab: Lab, layers: "Mapping[str, LayerFiles]", name: str) -> Path:
    """The directory of a point to which the instance can go back. `UsageError` if the lab or this machine is another now."""
    place = find_point(lab.name, name)
    about = _about(place)
    if about.variant != record.variant or about.keys != machine_keys(lab, layers, record.accelerator, WAITS):
        raise UsageError(
            f"the checkpoint '{name}' does not fit any more",
            why="the lab's nodes or variant, QEMU, labctl's machine or the image are others now",
            hint=f"labctl checkpoint rm {name}",
        )  # fmt: skip
    return place


def goto_point(session: Session, lab: Lab, layers: "Mapping[str, LayerFiles]", place: Path, report: Reporter) -> None:
    """Bring all nodes, cables and settings back to the point in `place`, which fits."""
    about = _about(place)
    names = [node.name for node in session.record.nodes]
    with ThreadPoolExecutor(STOPS_AT_ONCE) as pool:
        list(pool.map(session.hypervisor.stop, names))
    _wire_as(session, about.cables, about.cut)
    start_from(session, place, lab, layers, names, report)
    session.record = replace(session.record, settings=about.settings, impairments=about.impairments)
    write_record(session.record)


def _wire_as(session: Session, cables: tuple[tuple[str, str], ...], cut: tuple[str, ...]) -> None:
    known = session.record.cables
    removed = tuple(end for cable in known if cable not in cables for end in cable)
    plug(session, unplug=removed, cables=cables, new=tuple(cable for cable in cables if cable not in known))
    session.record = replace(session.record, cut=cut)
    write_record(session.record)

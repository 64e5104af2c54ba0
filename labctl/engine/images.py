"""Which image layers a lab's nodes stand on, and that they are there: base ← the role's packages ← the node's own ←
those of another architecture ← its files and commands.

Owns that chain, the order of builds (what does not depend on each other at once), what uses which layer, and the machine that is lent
for a node's commands. How a layer is made and kept is `host/images`'s.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from labctl.engine.events import Event, Reporter, step
from labctl.engine.instances import InstanceRecord, list_instances
from labctl.engine.parallel import workers
from labctl.errors import StepError
from labctl.guest.worker import PROGRAM
from labctl.host.accelerator import cached_accelerator
from labctl.host.image_recipe import LayerFile, MachineRecipe, NodeRecipe, PackageRecipe, UnpackRecipe
from labctl.host.image_tools import allow_builds, interrupt_builds
from labctl.host.images import ImageStore, LayerFiles, Removed
from labctl.host.locks import lock, use
from labctl.host.places import cache_directory, extra_images_directory, images_directory
from labctl.host.warmstarts import machine_key
from labctl.lab.data import TEMPLATES
from labctl.lab.load import load_role, role_names
from labctl.lab.topology import Lab, Node

NO_BASE = "0" * 64  # stands for the base image's digest where there is none yet
WAIT_S, REMOVE_WAIT_S = 60.0, 5.0
MACHINE_MIB, MACHINE_CPUS = 512, 1
COMMAND_S = 300.0
CLOSE_DISK = "sync; mount -o remount,ro / 2>/dev/null || { echo u >/proc/sysrq-trigger; sleep 1; }"  # a file system that needs no repair


def image_store() -> ImageStore:
    """This user's layers, and the classroom's if LABCTL_IMAGES names a directory."""
    return ImageStore(images_directory(), TEMPLATES / "base", extra_images_directory())


def recipes_of(node: Node, base: str, base_packages: Collection[str]) -> tuple[NodeRecipe, ...]:
    """The layers of a node above the base image, each the parent of the next; none where the base holds all it needs. Pure."""
    recipes: list[NodeRecipe] = []
    below, there = base, set(base_packages)
    for packages in (node.role.file.packages, node.packages):
        if new := tuple(sorted(set(packages) - there)):
            recipes.append(PackageRecipe(below, new))
            below = recipes[-1].digest
            there |= set(new)
    for tree in node.unpack:
        recipes.append(UnpackRecipe(below, tree.directory, tree.architecture, tree.packages))
        below = recipes[-1].digest
    baked = tuple(LayerFile(file.path, file.content, file.mode) for file in node.files if not file.template)
    if baked or node.run:
        recipes.append(MachineRecipe(below, baked, node.run))
    return tuple(recipes)


def recipes_for(lab: Lab, store: ImageStore, base: str) -> dict[str, tuple[NodeRecipe, ...]]:
    packages = store.base_packages()
    return {node.name: recipes_of(node, base, packages) for node in lab.nodes}


@contextlib.contextmanager
def using_images(doing: str) -> Iterator[None]:
    """While the block runs no image layer goes: from the moment one is found until the record says that a node lies on it."""
    with use(_lock_file(), doing, wait_s=WAIT_S):
        yield


@contextlib.contextmanager
def _removing_images() -> Iterator[None]:
    with lock(_lock_file(), "remove image layers", wait_s=REMOVE_WAIT_S):
        yield


def _lock_file() -> Path:
    return cache_directory() / ".images.lock"


def ensure_images(lab: Lab, report: Reporter) -> Mapping[str, LayerFiles]:
    """Node name → its layer, made now where it is missing."""
    store = image_store()
    build_layers(store, [lab], report)
    return layers_at_hand(lab, store)


def layers_at_hand(lab: Lab, store: ImageStore | None = None) -> Mapping[str, LayerFiles]:
    """Node name → its layer. `StepError` if one is missing."""
    store = store or image_store()
    base = store.find_base()
    found = {name: _layer_of(store, base, recipes) for name, recipes in _chains(lab, store, base).items()}
    whole = {name: layer for name, layer in found.items() if layer is not None}
    if missing := found.keys() - whole.keys():
        raise StepError(f"{', '.join(sorted(missing))}: the image is not there", hint=f"labctl image build {lab.name}")
    return whole


def layers_of(record: InstanceRecord) -> Mapping[str, LayerFiles]:
    """Node → the layer on which its disk lies: that of the instance, whatever has been built since. `StepError` if it is gone."""
    store = image_store()
    by_content = {layer.record.content: layer.record.digest for layer in store.layers()}
    found = {node.name: store.find(by_content[node.layer]) if node.layer in by_content else None for node in record.nodes}
    whole = {name: layer for name, layer in found.items() if layer is not None}
    if missing := found.keys() - whole.keys():
        raise StepError(f"the image of {', '.join(sorted(missing))} is not there any more", hint=f"labctl down {record.lab}")
    return whole


def planned_layers(lab: Lab) -> Mapping[str, str]:
    """Node name → digest of its layer as it is now; empty where it must be built first."""
    store = image_store()
    base = store.find_base()
    found = {name: _layer_of(store, base, recipes) for name, recipes in _chains(lab, store, base).items()}
    return {name: layer.digest if layer else "" for name, layer in found.items()}


def missing_layers(lab: Lab) -> tuple[str, ...]:
    """Titles of the layers that must be built before `lab` can come up, the base image first."""
    store = image_store()
    base = store.find_base()
    chains = _chains(lab, store, base)
    titles = {recipe.digest: recipe.title for chain in chains.values() for recipe in chain if store.find(recipe.digest) is None}
    return (*(() if base else ("the base image",)), *titles.values())


def _chains(lab: Lab, store: ImageStore, base: LayerFiles | None) -> dict[str, tuple[NodeRecipe, ...]]:
    return recipes_for(lab, store, base.recipe if base else NO_BASE)


def _layer_of(store: ImageStore, base: LayerFiles | None, recipes: Sequence[NodeRecipe]) -> LayerFiles | None:
    return store.find(recipes[-1].digest) if recipes else base


def build_layers(store: ImageStore, labs: Iterable[Lab], report: Reporter, *, fresh: bool = False) -> tuple[str, ...]:
    """Make what is missing for these labs, the base image in any case; titles of what was made. `fresh` makes a new base image."""
    before = {layer.record.content for layer in store.layers()}
    base = _build_base(store, report, fresh=fresh)
    chains = [chain for lab in labs for chain in recipes_for(lab, store, base.recipe).values()]
    for depth in range(max((len(chain) for chain in chains), default=0)):
        level = {chain[depth].digest: chain[depth] for chain in chains if len(chain) > depth}
        _build_level(store, [recipe for digest, recipe in level.items() if store.find(digest) is None], report)
    return tuple(layer.record.title for layer in store.layers() if layer.record.content not in before)


def _build_base(store: ImageStore, report: Reporter, *, fresh: bool) -> LayerFiles:
    if not fresh and (found := store.find_base()) is not None:
        return found
    with step(report, "make the base image"):
        return store.build_base(_teller(report), fresh=fresh)


def _build_level(store: ImageStore, recipes: Sequence[NodeRecipe], report: Reporter) -> None:
    """Make layers that do not depend on each other, as many at once as there are cores."""

    def build(recipe: NodeRecipe) -> None:
        with step(report, f"make image layer: {recipe.title}"):
            store.build(recipe, _teller(report), run_in_machine)

    if len(recipes) == 1:
        return build(recipes[0])
    with workers() as pool:
        try:
            for done in [pool.submit(build, recipe) for recipe in recipes]:
                done.result()
        except BaseException as failed:
            interrupt_builds()
            if isinstance(failed, Exception):  # this process goes on, and may build others
                pool.shutdown(cancel_futures=True)
                allow_builds()
            raise


def _teller(report: Reporter) -> Callable[[str], None]:
    return lambda text: report(Event("note", text))


def run_in_machine(layer: LayerFiles, scripts: Sequence[str]) -> None:
    """Boot a machine without network on `layer`, whose first disk it may write, and run the scripts in it as root.

    `StepError` names the script that failed and what it said last.
    """
    from labctl.engine.scratch import NAME, boot_scratch, scratch_session  # needs libvirt: only where a machine is started
    from labctl.host.accelerator import prove_accelerator
    from labctl.host.places import cache_directory

    accelerator = prove_accelerator(layer.kernel, layer.initrd, cache=cache_directory())
    with scratch_session(accelerator) as session:
        boot_scratch(session, replace(layer, disks=layer.disks[1:]), layer.disks[0], memory_mib=MACHINE_MIB, cpus=MACHINE_CPUS)
        agent = session.agent(NAME)
        for script in scripts:
            done = agent.run(("sh", "-e"), stdin=script.encode(), timeout_s=session.deadline(COMMAND_S), limited=True)
            if done.status != 0:
                said = (done.stderr or done.stdout).decode(errors="replace").strip()
                raise StepError(
                    f"a node's own command ended with status {done.status}", why=said[-600:] or "it said nothing",
                    hint=f"the command: {script.strip()[:300]}",
                )  # fmt: skip
        agent.run(CLOSE_DISK, timeout_s=session.deadline(30))
        session.hypervisor.stop(NAME)


def cache_key(*, saved: bool = False) -> str:
    """A key for a cache of image layers: what the base image and the roles' packages are made of, month by month.

    `saved`: and what a saved machine needs to start: QEMU, labctl's machine, the accelerator, with KVM the processor.
    """
    parts: list[object] = [image_store().base_key(), sorted(load_role(name, None).file.packages for name in role_names(None))]
    parts.append(datetime.now(UTC).strftime("%Y-%m"))  # packages grow old
    if saved:
        base = image_store().find_base()
        known = cached_accelerator(base.kernel, base.initrd, cache=cache_directory()) if base else None
        kind = known.kind if known else "not proven"
        parts += [machine_key("", 0, 0, kind, TEMPLATES, PROGRAM[-1]).digest, processor() if kind == "kvm" else "any"]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


# --- what the image verbs show and do -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ImageRow:
    """A layer in a list. `recipe` finds it, `content` says what is in it; `used_by` are instances and saved machines."""

    recipe: str
    content: str
    title: str
    size_bytes: int
    built: str
    parent: str
    place: Path
    shared: bool
    usable: bool
    used_by: tuple[str, ...]
    damage: tuple[str, ...]


def list_images(*, verify: bool = False) -> tuple[ImageRow, ...]:
    """All layers, parents first; with `verify` every file is read and its SHA-256 compared."""
    store = image_store()
    users = _users(store)
    return tuple(
        ImageRow(
            layer.record.digest, layer.record.content, layer.record.title, layer.record.size_bytes, layer.record.built,
            layer.record.parent or "", layer.place, layer.shared, layer.usable, users.get(layer.record.content, ()),
            store.verify(layer) if verify else (),
        )
        for layer in store.layers()
    )  # fmt: skip


def _users(store: ImageStore) -> Mapping[str, tuple[str, ...]]:
    """Content digest → ids of the instances, and names of the points, that lie on that layer or on one above it."""
    parents = {layer.record.content: layer.record.parent_content for layer in store.layers()}
    users: dict[str, dict[str, None]] = {}
    for record in list_instances():
        for node in record.nodes:
            current = node.layer
            while current:
                users.setdefault(current, {})[record.id] = None
                current = parents.get(current, "")
    for name, content in _layers_of_points(store):
        users.setdefault(content, {})[name] = None
    return {content: tuple(names) for content, names in users.items()}


def _layers_of_points(store: ImageStore) -> Iterator[tuple[str, str]]:
    """(name of a point, content of a layer that its disks lie on): a point is somebody's work, and keeps what it needs."""
    from labctl.engine.points import disks_in, lies_on, list_points

    contents = {layer.place: layer.record.content for layer in store.layers()}
    for point in list_points():
        below = {file.parent for disk in disks_in(point.place) for file in lies_on(disk)}
        yield from ((f"checkpoint {point.name} of {point.lab}", contents[place]) for place in below if place in contents)


def _in_use(store: ImageStore) -> frozenset[str]:
    """Recipe digests of layers that instances or points lie on."""
    users = _users(store)
    return frozenset(layer.record.digest for layer in store.layers() if layer.record.content in users)


def remove_image(words: Sequence[str]) -> Removed:
    """Remove the layers whose digests begin so. `UsageError` if one is used, or another lies on it."""
    store = image_store()
    with _removing_images():
        return store.remove({store.one(word).record.digest for word in words}, _in_use(store))


def prune_images(*, everything: bool = False) -> Removed:
    """Remove layers that no instance lies on and that today's base image does not carry; with `everything` all that no instance needs."""
    store = image_store()
    with _removing_images():
        keep = set(_in_use(store))
        base = store.find_base()
        if base is not None and not everything:
            keep |= {layer.record.digest for layer in store.layers() if store.lies_on(layer, base.recipe)}
        return store.prune(keep)


def export_images(file: Path, labs: Sequence[Lab], report: Reporter) -> int:
    """Write the layers of these labs (all there are, if none is named) to `file`; how many. `StepError` if one is not made yet."""
    store = image_store()
    if labs:
        wanted = {layer.recipe for lab in labs for layer in layers_at_hand(lab, store).values()}
    else:
        base = store.find_base()
        wanted = {layer.record.digest for layer in store.layers() if base is not None and store.lies_on(layer, base.recipe)}
    if not wanted:
        raise StepError("there is no image to export", hint="labctl image build")
    return store.export(wanted, file, _teller(report))


def import_images(file: Path, report: Reporter) -> tuple[str, ...]:
    """Take in the layers of an archive; titles of the new ones."""
    return image_store().import_(file, _teller(report))

"""The image store as the engine sees it: turns of builders, what may be removed, the newest base. Machines are lent by the tests."""

import shutil
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from labctl.errors import LockHeld, StepError, UsageError
from labctl.host.image_base import read_base_recipe, render_additions
from labctl.host.image_recipe import BaseRecipe, LayerFile, MachineRecipe
from labctl.host.image_store import VMLINUZ, Store
from labctl.host.images import ImageStore, LayerFiles
from tests.unit.host.image_layers import keep_layer, package_recipe

OLD, NEW = "2025-01-31T12:00:00Z", "2025-02-28T12:00:00Z"


def quiet(_: str) -> None:
    pass


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    place = tmp_path / "base"
    (place / "files" / "etc").mkdir(parents=True)
    (place / "packages.txt").write_text("# a comment\n\niproute2\nbash\n")
    (place / "files" / "etc" / "motd").write_text("hello\n")
    (place / "files" / "etc" / "tool").write_text("#!/bin/sh\n")
    (place / "customise.sh").write_text("true\n")
    return place


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "images")


@pytest.fixture
def images(store: Store, templates: Path) -> ImageStore:
    return ImageStore(store.directory, templates)


@pytest.fixture
def base(store: Store, templates: Path) -> BaseRecipe:
    recipe = read_base_recipe(templates, OLD)
    keep_layer(store, recipe)
    return recipe


def own(parent: str, *run: str) -> MachineRecipe:
    return MachineRecipe(parent, (LayerFile("/etc/x", b"x", 0o644),), run)


def write_disk(layer: LayerFiles, scripts: Sequence[str]) -> None:
    """Stands for a machine: writes to the disk as one would."""
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write 0 4k", str(layer.disks[0])], check=True, capture_output=True)


def test_the_packages_and_files_of_templates_decide_the_base(templates: Path) -> None:
    recipe = read_base_recipe(templates, OLD)
    assert recipe.packages == ("bash", "iproute2")
    (templates / "files" / "etc" / "motd").write_text("hullo\n")
    assert read_base_recipe(templates, OLD).undated_digest != recipe.undated_digest


def test_what_is_added_to_the_base_belongs_to_root_and_scripts_can_be_run(templates: Path, tmp_path: Path) -> None:
    import io
    import tarfile

    with tarfile.open(fileobj=io.BytesIO(render_additions(templates))) as tar:
        members = {member.name: (member.uid, member.mode) for member in tar}
    assert members["./etc/motd"] == (0, 0o644)
    assert members["./etc/tool"] == (0, 0o755)
    assert members["./tmp/labctl-base/customise.sh"] == (0, 0o644)


def test_the_newest_base_of_these_templates_is_found(images: ImageStore, store: Store, templates: Path, base: BaseRecipe) -> None:
    newer = read_base_recipe(templates, NEW)
    keep_layer(store, newer)
    keep_layer(store, BaseRecipe("bookworm", ("other",), "0" * 64, "2026-01-01T00:00:00Z"))
    found = images.find_base()
    assert found is not None
    assert found.recipe == newer.digest
    assert images.build_base(quiet) == found


def test_other_templates_need_another_base(images: ImageStore, templates: Path, base: BaseRecipe) -> None:
    (templates / "packages.txt").write_text("bash\n")
    assert images.find_base() is None


class EarlierBase(BaseRecipe):
    """As labctl recorded it before kernels were unpacked."""

    def as_data(self) -> dict[str, Any]:
        return {**super().as_data(), "format": 1}


def test_a_base_of_an_earlier_version_carries_its_machines_on_but_no_new_layer(images: ImageStore, store: Store, templates: Path) -> None:
    now = read_base_recipe(templates, OLD)
    earlier = EarlierBase(now.suite, now.packages, now.content, now.made)
    keep_layer(store, earlier, kernel=VMLINUZ)
    found = store.find(earlier.digest)
    assert found is not None
    assert found.kernel == store.directory / earlier.digest / VMLINUZ
    assert images.find_base() is None
    assert images.prune(()).titles == (f"base: Debian bookworm, {OLD}, of an earlier labctl",)


def test_an_archive_of_an_earlier_version_is_refused(images: ImageStore, store: Store, templates: Path, tmp_path: Path) -> None:
    now = read_base_recipe(templates, OLD)
    earlier = EarlierBase(now.suite, now.packages, now.content, now.made)
    keep_layer(store, earlier, kernel=VMLINUZ)
    images.export({earlier.digest}, tmp_path / "class.tar", quiet)
    other = ImageStore(tmp_path / "other", templates)
    with pytest.raises(StepError, match="of an earlier labctl"):
        other.import_(tmp_path / "class.tar", quiet)
    assert other.layers() == ()


def test_a_layer_of_files_and_commands_is_made_in_a_lent_machine(images: ImageStore, base: BaseRecipe) -> None:
    lent: list[tuple[str, ...]] = []

    def machine(layer: LayerFiles, scripts: Sequence[str]) -> None:
        lent.append(tuple(scripts))
        assert [disk.parent.name for disk in layer.disks[1:]] == [base.digest]
        write_disk(layer, scripts)

    layer = images.build(own(base.digest, "touch /y"), quiet, machine)
    assert [script for script in lent[0] if "touch /y" in script]
    assert len(layer.disks) == 2
    assert images.build(own(base.digest, "touch /y"), quiet, machine) == layer
    assert len(lent) == 1


def test_a_machine_that_fails_leaves_no_layer(images: ImageStore, store: Store, base: BaseRecipe) -> None:
    def machine(layer: LayerFiles, scripts: Sequence[str]) -> None:
        raise StepError("a node's own command ended with status 1")

    with pytest.raises(StepError, match="status 1"):
        images.build(own(base.digest), quiet, machine)
    assert images.find(own(base.digest).digest) is None
    assert not list(store.directory.glob(".building*"))
    with pytest.raises(StepError, match="needs a machine"):
        images.build(own(base.digest), quiet)


def test_two_who_want_the_same_layer_get_one_build_and_the_second_is_told_to_wait(images: ImageStore, base: BaseRecipe) -> None:
    building, go_on = threading.Event(), threading.Event()
    calls: list[int] = []
    told: list[str] = []
    results: list[LayerFiles] = []

    def machine(layer: LayerFiles, scripts: Sequence[str]) -> None:
        calls.append(1)
        building.set()
        assert go_on.wait(10)
        write_disk(layer, scripts)

    def tell(text: str) -> None:
        told.append(text)
        if text.startswith("waiting"):
            go_on.set()

    first = threading.Thread(target=lambda: results.append(images.build(own(base.digest), quiet, machine)))
    first.start()
    assert building.wait(10)
    results.append(images.build(own(base.digest), tell, machine))
    first.join(10)
    assert results[0] == results[1]
    assert len(calls) == 1
    assert told[0].startswith("waiting: process ")


def test_layers_that_others_lie_on_or_that_are_in_use_stay(images: ImageStore, store: Store, base: BaseRecipe) -> None:
    base_record = store.record(store.directory, base.digest)
    assert base_record is not None
    nginx = keep_layer(store, package_recipe(base), parent_content=base_record.content)
    with pytest.raises(UsageError, match="carries others"):
        images.remove([base.digest], in_use=[])
    with pytest.raises(UsageError, match="in use"):
        images.remove([base.digest, nginx.digest], in_use=[nginx.digest])
    removed = images.remove([base.digest, nginx.digest], in_use=[])
    assert removed.titles == (base.title + f", {OLD}", "packages: nginx")
    assert removed.size_bytes == base_record.size_bytes + nginx.size_bytes
    assert images.layers() == ()
    assert [path.name for path in store.directory.iterdir() if not path.name.endswith(".lock")] == []


def test_prune_keeps_what_is_named_and_all_below(images: ImageStore, store: Store, templates: Path, base: BaseRecipe) -> None:
    record = store.record(store.directory, base.digest)
    assert record is not None
    nginx = keep_layer(store, package_recipe(base), parent_content=record.content)
    keep_layer(store, package_recipe(base, "frr"), parent_content=record.content)
    keep_layer(store, read_base_recipe(templates, NEW))
    assert set(images.prune([nginx.digest]).titles) == {"packages: frr", f"{base.title}, {NEW}"}
    assert {layer.record.digest for layer in images.layers()} == {base.digest, nginx.digest}


def test_nothing_is_removed_while_something_is_built(images: ImageStore, store: Store, base: BaseRecipe) -> None:
    errors: list[LockHeld] = []

    def machine(layer: LayerFiles, scripts: Sequence[str]) -> None:
        try:
            images.prune([])
        except LockHeld as held:
            errors.append(held)
        write_disk(layer, scripts)

    images.build(own(base.digest), quiet, machine)
    assert len(errors) == 1
    assert images.find(base.digest) is not None


def test_layers_of_the_shared_directory_are_never_removed(tmp_path: Path, templates: Path, store: Store, base: BaseRecipe) -> None:
    images = ImageStore(tmp_path / "own", templates, store.directory)
    assert images.find_base() is not None
    assert images.prune([]).titles == ()
    with pytest.raises(UsageError, match="not labctl's to remove"):
        images.remove([base.digest], in_use=[])
    assert images.find(base.digest) is not None


def test_a_layer_is_meant_by_the_beginning_of_its_digest(images: ImageStore, base: BaseRecipe) -> None:
    assert images.one(base.digest[:8]).record.digest == base.digest
    for word in ("", "nothing", "../.."):
        with pytest.raises(UsageError, match="no image layer"):
            images.one(word)


def test_what_is_exported_is_imported_with_all_below(
    images: ImageStore, store: Store, templates: Path, base: BaseRecipe, tmp_path: Path
) -> None:
    layer = images.build(own(base.digest), quiet, write_disk)
    assert images.export([layer.recipe], tmp_path / "out.tar.zst", quiet) == 2
    other = ImageStore(tmp_path / "other", templates)
    assert len(other.import_(tmp_path / "out.tar.zst", quiet)) == 2
    found, here = other.find(layer.recipe), images.find(layer.recipe)
    assert found is not None
    assert here is not None
    assert found.digest == here.digest
    assert other.find_base() is not None
    shutil.rmtree(store.directory)
    subprocess.run(["qemu-img", "check", "-q", str(found.disks[0])], check=True)

"""The store: a layer is found whole or not at all, wherever the directories lie, whoever died while making one."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.errors import StepError
from labctl.host.image_recipe import LayerFile, MachineRecipe
from labctl.host.image_store import DISK, RECORD, VMLINUX, Store, backing_of, chain_of, parse_record, require_own_backing
from labctl.host.image_tools import SCRATCH_NOTE, SESSION_NOTE
from tests.unit.host.image_layers import BASE, keep_chain, keep_layer, package_recipe


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "images")


def test_a_layer_is_found_with_all_disks_below_and_the_nearest_kernel(store: Store) -> None:
    base, nginx = keep_chain(store)
    found = store.find(nginx.digest)
    assert found is not None
    assert [disk.parent.name for disk in found.disks] == [nginx.digest, base.digest]
    assert found.kernel == store.directory / base.digest / VMLINUX
    assert (found.digest, found.recipe, found.size_bytes) == (nginx.content, nginx.digest, nginx.size_bytes)


def test_a_kept_layer_is_read_only(store: Store) -> None:
    base, _ = keep_chain(store)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (store.directory / base.digest).iterdir()}
    assert set(modes.values()) == {0o444}


def test_nothing_is_found_in_an_empty_or_missing_store(tmp_path: Path) -> None:
    assert Store(tmp_path).find(BASE.digest) is None
    assert Store(tmp_path / "never", tmp_path / "neither").find(BASE.digest) is None
    assert Store(tmp_path / "never").layers() == ()
    assert Store(tmp_path).find("../../etc") is None


def test_a_moved_store_still_works(store: Store, tmp_path: Path) -> None:
    _, nginx = keep_chain(store)
    store.directory.rename(tmp_path / "elsewhere")
    found = Store(tmp_path / "elsewhere").find(nginx.digest)
    assert found is not None
    subprocess.run(["qemu-img", "info", "--backing-chain", str(found.disks[0])], check=True, capture_output=True)


def test_a_layer_without_its_parent_is_not_found_and_listed_as_unusable(store: Store) -> None:
    base, nginx = keep_chain(store)
    shutil.rmtree(store.directory / base.digest)
    assert store.find(nginx.digest) is None
    assert [(layer.record.digest, layer.usable) for layer in store.layers()] == [(nginx.digest, False)]


def test_a_layer_on_another_make_of_its_parent_is_not_found(store: Store) -> None:
    _, nginx = keep_chain(store)
    keep_layer(store, BASE, content="updated packages")
    assert store.find(nginx.digest) is None


@pytest.mark.parametrize("name", [DISK, VMLINUX, RECORD])
def test_a_layer_with_a_missing_or_cut_file_is_not_found(store: Store, name: str) -> None:
    base, _ = keep_chain(store)
    file = store.directory / base.digest / name
    file.chmod(0o644)
    os.truncate(file, file.stat().st_size - 3)
    assert store.find(base.digest) is None
    file.unlink()
    assert store.find(base.digest) is None


def test_verify_finds_a_changed_byte_and_a_foreign_backing_file(store: Store) -> None:
    base, nginx = keep_chain(store)
    assert store.verify(base.digest, store.directory) == ()
    kernel, disk = store.directory / base.digest / VMLINUX, store.directory / nginx.digest / DISK
    kernel.chmod(0o644)
    kernel.write_bytes(kernel.read_bytes().replace(b"one", b"two"))
    assert store.verify(base.digest, store.directory) == ("vmlinux: content has changed",)
    disk.chmod(0o644)
    disk.write_bytes(disk.read_bytes().replace(b"../", b"/x/"))
    content, backing = store.verify(nginx.digest, store.directory)
    assert content == "disk.qcow2: content has changed"
    assert "not its parent's" in backing
    assert store.verify("0" * 64, store.directory) == ("it is not there, or not whole",)


def test_a_shared_directory_is_looked_at_too_and_never_written(tmp_path: Path) -> None:
    shared = Store(tmp_path / "shared")
    base, nginx = keep_chain(shared)
    (tmp_path / "shared").chmod(0o555)
    store = Store(tmp_path / "own", tmp_path / "shared")
    found = store.find(nginx.digest)
    assert found is not None
    assert found.disks[0].parent.parent == tmp_path / "shared"
    assert [layer.shared for layer in store.layers()] == [True, True]
    (tmp_path / "shared").chmod(0o755)


def test_a_layer_can_be_built_on_one_of_the_shared_directory(tmp_path: Path) -> None:
    base, nginx = keep_chain(Store(tmp_path / "shared"))
    store = Store(tmp_path / "own", tmp_path / "shared")
    store.directory.mkdir()
    store.require_parent(nginx.digest)
    recipe = MachineRecipe(nginx.digest, (LayerFile("/x", b"", 0o644),), ())
    keep_layer(store, recipe, parent_content=nginx.content)
    found = store.find(recipe.digest)
    assert found is not None
    subprocess.run(["qemu-img", "info", "--backing-chain", str(found.disks[0])], check=True, capture_output=True)
    (tmp_path / "shared").rename(tmp_path / "moved")
    assert store.find(recipe.digest) is None
    assert {base.digest, nginx.digest} <= set(store.sweep())  # the links lead nowhere now
    again = Store(tmp_path / "own", tmp_path / "moved")
    again.require_parent(nginx.digest)
    assert again.find(recipe.digest) is not None


def test_a_parent_that_is_not_there_is_named(store: Store) -> None:
    with pytest.raises(StepError, match="is not there") as raised:
        store.require_parent(BASE.digest)
    assert raised.value.hint == "labctl image build"


def test_a_build_that_fails_leaves_nothing(store: Store) -> None:
    def fail() -> None:
        with store.building("key") as build:
            (build / "half").write_text("")
            raise OSError("no luck")

    with pytest.raises(OSError, match="no luck"):
        fail()
    assert list(store.directory.iterdir()) == []


BUILDER = """
import os, subprocess, sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from labctl.host.image_store import Store
from labctl.host.image_tools import run_long, scratch_directory
from labctl.host.locks import lock
store = Store(Path({place!r}))
with lock(store.lock_file("key"), "make it"), store.building("key") as build, scratch_directory(build) as scratch:
    (scratch / "tree").mkdir()
    (build / "disk.raw").write_bytes(b"half")
    print(scratch, flush=True)
    run_long(["sh", "-c", "sleep 1000 & sleep 1000"], build, timeout_s=1000)
"""


def start_builder(store: Store, scratch: Path) -> "subprocess.Popen[str]":
    program = BUILDER.format(root=str(Path(__file__).parents[3]), place=str(store.directory))
    environment = {**os.environ, "TMPDIR": str(scratch)}
    builder = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment)
    assert builder.stdout is not None
    builder.stdout.readline()
    note = store.directory / ".building-key" / SESSION_NOTE
    while not note.exists() or not note.read_text():
        time.sleep(0.01)
    return builder


def session_members(leader: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[3] == leader and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def test_what_a_killed_build_left_is_swept_with_its_programs_and_scratch_directory(store: Store, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    builder = start_builder(store, scratch)
    build = store.directory / ".building-key"
    leader = (build / SESSION_NOTE).read_text().split()[0]
    assert Path((build / SCRATCH_NOTE).read_text()).is_dir()
    assert session_members(leader)
    assert store.sweep() == ()  # its maker is alive
    assert store.is_building()
    builder.kill()
    builder.communicate()
    assert store.sweep() == (".building-key",)
    deadline = time.monotonic() + 5
    while session_members(leader) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert session_members(leader) == []
    assert list(scratch.iterdir()) == []
    assert not store.is_building()


def test_a_scratch_note_cannot_make_the_sweep_remove_something_else(store: Store, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (store.directory / ".building-key").mkdir(parents=True)
    (store.directory / ".building-key" / SCRATCH_NOTE).write_text(str(precious))
    store.sweep()
    assert precious.is_dir()


def test_a_damaged_layer_gives_way_to_a_new_one(store: Store) -> None:
    base, _ = keep_chain(store)
    (store.directory / base.digest / VMLINUX).unlink()
    keep_layer(store, BASE)
    assert store.find(base.digest) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "1" * 64},
        {"content": "1" * 64},
        {"files": {}},
        {"files": {"../disk.qcow2": {"sha256": "0" * 64, "size": 1}}},
        {"files": {"disk.qcow2": {"sha256": "x", "size": 1}}},
        {"files": {"disk.qcow2": {"sha256": "0" * 64, "size": -1}}},
        {"recipe": {"kind": "base"}},
        {"recipe": None},
        {"cmdline": "root=/dev/vda\ninit=/bin/sh"},
        {"parent_content": "1" * 64},
    ],
)
def test_a_record_that_contradicts_itself_is_refused(store: Store, change: dict[str, object]) -> None:
    base, _ = keep_chain(store)
    data = {**json.loads(base.to_json()), **change}
    with pytest.raises(StepError, match="image layer"):
        parse_record(json.dumps(data), base.digest)


@pytest.mark.parametrize("text", ["", "[]", "null", '{"digest": 1}', "[" * 100_000])
def test_a_record_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(StepError):
        parse_record(text, BASE.digest)


def test_two_makes_of_one_recipe_have_different_content(store: Store) -> None:
    first, second = keep_layer(store, BASE), keep_layer(store, BASE, content="two")
    assert first.digest == second.digest
    assert first.content != second.content
    above = keep_layer(store, package_recipe(), parent_content=second.content)
    assert replace(above, parent_content=first.content).content != above.content


def test_a_disk_with_data_elsewhere_or_no_qcow2_at_all_is_refused(store: Store) -> None:
    base, _ = keep_chain(store)
    header = bytearray((store.directory / base.digest / DISK).read_bytes())
    header[79] |= 4
    with pytest.raises(StepError, match="another file"):
        backing_of(bytes(header))
    with pytest.raises(StepError, match="no qcow2"):
        backing_of(b"\x7fELF" + bytes(200))


def test_a_disk_must_lie_on_its_own_parent_only(store: Store, tmp_path: Path) -> None:
    disk = tmp_path / "disk.qcow2"
    for backing in ("/etc/passwd", f"../{BASE.digest}/../../x", "json:{}", f"../{'1' * 64}/{DISK}"):
        subprocess.run(["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", backing, "-F", "raw", str(disk), "1M"], check=True)
        with pytest.raises(StepError, match="not its parent's"):
            require_own_backing(disk, BASE.digest)
        with pytest.raises(StepError, match="not its parent's"):
            require_own_backing(disk, None)


def test_what_a_disk_lies_on_is_told_by_the_disks_themselves(tmp_path: Path) -> None:
    disks = [tmp_path / name / "disk.qcow2" for name in ("base", "layer", "node")]
    for number, disk in enumerate(disks):
        disk.parent.mkdir()
        backing = ["-b", f"../{disks[number - 1].parent.name}/disk.qcow2", "-F", "qcow2"] if number else []
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(disk), *([] if number else ["1M"])], check=True)
    assert chain_of(disks[2]) == (disks[1], disks[0])
    assert chain_of(disks[0]) == ()
    disks[1].unlink()
    with pytest.raises(StepError, match="is not there"):
        chain_of(disks[2])

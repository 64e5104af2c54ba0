"""Full, closed and read-only disks, for real: small file systems in namespaces of a test's own. Each says place and amount."""

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labctl.engine.instances import make_directory, read_record, write_record
from labctl.engine.journal import Journal
from labctl.engine.keys import make_key
from labctl.engine.room import naming_room
from labctl.engine.session import make_overlay
from labctl.errors import HostError, LabError, NoRoom, StepError
from labctl.host import room
from labctl.host.image_archive import read_archive, write_archive
from labctl.host.image_store import Store
from labctl.host.locks import lock
from labctl.host.room import allocate, check_place, explain, free_mib, give_back, need_room
from labctl.host.run import run
from labctl.host.start_trial import remember_trial
from labctl.host.warmstarts import SavedStore, copy_ram, move_file
from labctl.lab.load import load_lab, shipped_labs
from tests.small_disk import SmallDisk, small_disk
from tests.unit.engine.test_instances import made
from tests.unit.host.image_layers import keep_chain

SIZE_MIB = 8


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "small", SIZE_MIB) as small:
        yield small


@pytest.fixture
def larger(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "larger", 80) as small:
        yield small


def on_disk(file: Path) -> int:
    return file.stat().st_blocks * 512


# --- what is allocated stays ---------------------------------------------------------------------------------------------------


def test_space_that_is_allocated_cannot_be_taken_by_anybody_else(disk: SmallDisk) -> None:
    ram = disk.place / "ram"
    allocate(ram, 4, "the memory of pc1")
    disk.fill()
    with ram.open("r+b") as file:
        for place in range(0, 4 << 20, 4096):
            os.pwrite(file.fileno(), b"x" * 4096, place)  # a sparse file: ENOSPC here, SIGBUS in a machine's memory
    assert free_mib(disk.place) == 0


def test_what_does_not_fit_is_refused_with_place_and_amount_and_leaves_nothing(disk: SmallDisk) -> None:
    with pytest.raises(NoRoom) as refused:
        allocate(disk.place / "ram", SIZE_MIB + 1, "the memory of pc1")
    assert refused.value.what == "there is no room for the memory of pc1"
    assert f"{SIZE_MIB + 1} MiB are needed in {disk.place}, {SIZE_MIB} MiB are free" in refused.value.why
    assert "labctl gc" in refused.value.hint
    assert list(disk.place.iterdir()) == []
    assert refused.value.exit_code == 4


def test_what_was_never_written_is_given_back_and_the_rest_stays(tmp_path: Path, disk: SmallDisk) -> None:
    for place in (disk.place, tmp_path):
        ram = place / "ram"
        allocate(ram, 4, "memory")
        with ram.open("r+b") as file:
            os.pwrite(file.fileno(), b"kept" * 1024, 1 << 20)
            os.fsync(file.fileno())
        assert on_disk(ram) >= 4 << 20
        give_back(ram)
        assert on_disk(ram) <= 64 * 1024
        assert ram.stat().st_size == 4 << 20
        assert ram.read_bytes() == bytes(1 << 20) + b"kept" * 1024 + bytes((3 << 20) - 4096)


def test_a_copy_of_memory_has_all_its_space_or_is_not_there(tmp_path: Path, disk: SmallDisk) -> None:
    source = tmp_path / "saved"
    with source.open("wb") as file:
        file.truncate(6 << 20)
        os.pwrite(file.fileno(), b"x" * 4096, 0)
    copy_ram(source, disk.place / "ram", 6)
    assert on_disk(disk.place / "ram") == 6 << 20
    with pytest.raises(NoRoom, match="6 MiB are needed"):
        copy_ram(source, disk.place / "second", 6)
    assert [file.name for file in disk.place.iterdir()] == ["ram"]
    assert on_disk(source) <= 8192, "what is copied stays as it was"


def test_a_file_moves_to_another_file_system_with_its_holes(tmp_path: Path, disk: SmallDisk) -> None:
    source = tmp_path / "saved"
    with source.open("wb") as file:
        file.truncate(64 << 20)
        os.pwrite(file.fileno(), b"x" * 4096, 1 << 20)
    move_file(source, disk.place / "moved")
    assert not source.exists()
    assert (disk.place / "moved").stat().st_size == 64 << 20
    assert on_disk(disk.place / "moved") <= 8192


# --- each step that writes -----------------------------------------------------------------------------------------------------


def a_record(place: Path) -> None:
    write_record(made("l2-switch"))


def a_layer(place: Path) -> None:
    read_archive(Path(os.environ["SENDER"]) / "layers.tar", Store(place / "images"), lambda _: None)


def an_archive(place: Path) -> None:
    write_archive(place / "layers.tar", Store(Path(os.environ["SENDER"])).layers(), lambda _: None)


def a_compressed_archive(place: Path) -> None:
    write_archive(place / "layers.tar.zst", Store(Path(os.environ["SENDER"])).layers(), lambda _: None)


def a_journal(place: Path) -> None:
    for _ in range(8):
        Journal(place).write("x" * 4000)


def a_checkpoint(place: Path) -> None:
    SavedStore(place / "c").make("d" * 64, lambda _: None, {"x": "y" * 9000})


WRITERS: dict[str, Callable[[Path], None]] = {
    "a record": a_record,
    "the journal": a_journal,
    "a key": lambda place: make_key(place / "key", "labctl"),
    "an overlay": lambda place: make_overlay(Path(os.environ["SENDER"]) / "backing.qcow2", place / "disk.qcow2"),
    "a lock": lambda place: lock(place / "locks" / "x", "try").__enter__(),
    "the memory of a node": lambda place: allocate(place / "ram", 1, "the memory of pc1"),
    "an image layer": a_layer,
    "an archive of layers": an_archive,
    "a compressed archive of layers": a_compressed_archive,
    "a description of a checkpoint": a_checkpoint,
}


@pytest.fixture
def sender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_chain(Store(tmp_path / "sender"))
    write_archive(tmp_path / "sender" / "layers.tar", Store(tmp_path / "sender").layers(), lambda _: None)
    run(("qemu-img", "create", "-q", "-f", "qcow2", str(tmp_path / "sender" / "backing.qcow2"), "1M"), timeout_s=20)
    monkeypatch.setenv("SENDER", str(tmp_path / "sender"))


@pytest.mark.usefixtures("sender")
@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_at_each_step_that_writes_is_told_and_recovered_from(
    larger: SmallDisk, monkeypatch: pytest.MonkeyPatch, writer: str
) -> None:
    disk = larger
    monkeypatch.setenv("XDG_STATE_HOME", str(disk.place))
    lab = load_lab(shipped_labs()[0])
    filler = disk.fill()
    with pytest.raises((LabError, OSError)) as plain:
        WRITERS[writer](disk.place)
    told = explain(plain.value) if isinstance(plain.value, OSError) else plain.value
    assert isinstance(told, LabError), "any verb says what it is"
    with pytest.raises(NoRoom) as refused, naming_room(lab):
        WRITERS[writer](disk.place)
    assert "MiB" in refused.value.why
    assert str(disk.place) in str(refused.value)
    filler.unlink()
    WRITERS[writer](disk.place)  # nothing half-made stands in the way


def test_a_record_that_cannot_be_replaced_stays_as_it_was(disk: SmallDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(disk.place))
    record = made("l2-switch")
    disk.fill()
    with pytest.raises(OSError, match="No space"):
        write_record(record)
    assert read_record(record.directory) == record


def test_what_only_remembers_goes_on_without(disk: SmallDisk) -> None:
    disk.fill()
    remember_trial(disk.place, "tcg", "clone", "tried")


# --- memory -------------------------------------------------------------------------------------------------------------------


def test_a_lab_that_a_control_groups_limit_has_no_memory_for_is_refused(tmp_path: Path) -> None:
    program = (
        "from labctl.engine.room import refuse_without_room\nfrom labctl.errors import HostError\n"
        "from labctl.host.image_tools import tree_place\nfrom labctl.lab.load import find_lab, load_lab\n"
        "try: refuse_without_room(load_lab(find_lab('l2-switch')))\n"
        "except HostError as refused: print(tree_place(0), refused.what)"
    )
    with small_disk(Path("/sys/fs/cgroup"), 1) as groups:
        for name, text in (("memory.max", f"{800 << 20}"), ("memory.current", f"{100 << 20}"), ("memory.stat", "")):
            (groups.place / name).write_text(text)
        said = run(groups.argv_inside((sys.executable, "-c", program)), env={**os.environ, "XDG_STATE_HOME": str(tmp_path)}, timeout_s=60)
    assert said.text == "no l2-switch does not fit into the memory that is free here\n"


# --- places -------------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_place_that_is_closed_says_whose_it_is_and_what_to_type(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(HostError) as refused:
        check_place(closed / "labctl")
    assert "mode 0500" in refused.value.why
    assert refused.value.hint == f"chmod u+rwx {closed}"
    with pytest.raises(HostError) as refused:
        check_place(Path("/root-of-nobody/labctl"))
    assert "/ belongs to root, and you are" in refused.value.why
    assert refused.value.hint.startswith("sudo chown -R ")


def test_a_read_only_file_system_is_named(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 1, read_only=True) as small, pytest.raises(HostError) as refused:
        check_place(small.place / "labctl")
    assert "mounted read-only" in refused.value.why
    assert "XDG_STATE_HOME" in refused.value.hint


def test_a_file_in_the_place_of_a_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "labctl"):
        with pytest.raises(HostError, match="director"):
            check_place(place)


@pytest.mark.parametrize("name", ["with blanks", "日本語", "a,b", "a'b", "$(x)`y`;|&", "%h", "#", "x" * 255])
def test_any_name_that_ssh_can_carry_is_a_place(tmp_path: Path, name: str) -> None:
    check_place(tmp_path / name / "labctl")
    assert stat.S_IMODE((tmp_path / name / "labctl").stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["new\nline", 'a"b', "a\\b", "\x1b[31m", os.fsdecode(b"latin-\xe9"), "x" * 256])
def test_a_name_that_cannot_be_carried_is_refused_before_anything_is_made(tmp_path: Path, name: str) -> None:
    with pytest.raises(HostError) as refused:
        check_place(tmp_path / name / "labctl")
    assert refused.value.hint
    assert str(refused.value).isprintable()
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_that_nobody_tried_is_recognised_by_its_number(tmp_path: Path) -> None:
    assert room.untested_filesystem(0x6969) == "NFS"
    assert room.untested_filesystem(0x01021994) == ""
    with small_disk(tmp_path / "small", 1) as small:
        assert room.filesystem_type(small.place) == 0x01021994, "a tmpfs, by statfs(2)"
        assert room.filesystem_type(small.place / "not" / "there") == 0x01021994


def test_errors_of_other_kinds_are_left_to_others() -> None:
    assert explain(OSError(errno.EIO, "oh")) is None
    assert explain(ConnectionResetError()) is None
    with pytest.raises(StepError, match="it broke"), naming_room(load_lab(shipped_labs()[0])):
        raise StepError("it broke", why="another reason")


def test_a_programs_complaint_about_a_full_disk_is_told_as_one() -> None:
    lab = load_lab(shipped_labs()[0])
    with pytest.raises(NoRoom, match=f"while {lab.name} was brought up") as refused, naming_room(lab):
        raise StepError("cannot start pc1", why="unable to write domain status: No space left on device")
    assert "cannot start pc1" in refused.value.why


def test_room_is_asked_for_where_the_place_will_be(tmp_path: Path, disk: SmallDisk) -> None:
    need_room(disk.place / "not" / "yet", SIZE_MIB, "x")
    with pytest.raises(NoRoom, match=f"{SIZE_MIB + 1} MiB are needed"):
        need_room(disk.place / "not" / "yet", SIZE_MIB + 1, "x")


def test_a_new_instance_is_a_private_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert stat.S_IMODE(make_directory("x").stat().st_mode) == 0o700

"""Layers taken to another machine; and archives by people who do not mean well."""

import io
import json
import secrets
import shutil
import struct
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labctl.errors import HostError, LabError, StepError
from labctl.host.image_archive import read_archive, write_archive
from labctl.host.image_recipe import digest_of
from labctl.host.image_store import DISK, RECORD, LayerRecord, Store
from tests.small_disk import small_disk
from tests.unit.host.image_layers import BASE, keep_chain, keep_layer, package_recipe

Members = list[tuple[tarfile.TarInfo, bytes]]


def quiet(_: str) -> None:
    pass


@pytest.fixture
def sender(tmp_path: Path) -> Store:
    store = Store(tmp_path / "sender")
    keep_chain(store)
    return store


@pytest.fixture
def receiver(tmp_path: Path) -> Store:
    return Store(tmp_path / "receiver" / "images")


@pytest.fixture
def archive(sender: Store, tmp_path: Path) -> Path:
    write_archive(tmp_path / "layers.tar", sender.layers(), quiet)
    return tmp_path / "layers.tar"


@pytest.mark.parametrize("name", ["layers.tar", "layers.tar.zst"])
def test_layers_arrive_as_they_were(sender: Store, receiver: Store, tmp_path: Path, name: str) -> None:
    write_archive(tmp_path / name, sender.layers(), quiet)
    assert len(read_archive(tmp_path / name, receiver, quiet)) == 2
    assert [layer.record for layer in receiver.layers()] == [layer.record for layer in sender.layers()]
    for layer in receiver.layers():
        assert receiver.verify(layer.record.digest, receiver.directory) == ()
        assert receiver.find(layer.record.digest) is not None
    assert read_archive(tmp_path / name, receiver, quiet) == ()  # all of it is here already
    if name.endswith(".zst"):
        assert (tmp_path / name).read_bytes()[:4] == b"\x28\xb5\x2f\xfd"


def test_an_archive_that_cannot_be_written_leaves_nothing(sender: Store, tmp_path: Path) -> None:
    layers = sender.layers()
    shutil.rmtree(layers[1].place)
    with pytest.raises(FileNotFoundError):
        write_archive(tmp_path / "layers.tar", layers, quiet)
    assert not list(tmp_path.glob("*layers.tar*"))


def test_a_disk_that_becomes_full_under_the_compressor_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "sender")
    keep_layer(store, BASE, content=secrets.token_hex(4 << 20))
    with small_disk(tmp_path / "small", 1) as disk:
        with pytest.raises(HostError, match="zstd could not write the archive") as told:
            write_archive(disk.place / "layers.tar.zst", store.layers(), quiet)
        assert "No space left on device" in told.value.why
        assert list(disk.place.iterdir()) == []


def test_a_layer_without_its_parent_is_refused(sender: Store, receiver: Store, tmp_path: Path) -> None:
    write_archive(tmp_path / "half.tar", sender.layers()[1:], quiet)
    with pytest.raises(StepError, match="is not there"):
        read_archive(tmp_path / "half.tar", receiver, quiet)
    assert receiver.layers() == ()


def test_a_layer_made_on_another_make_of_its_parent_is_refused(sender: Store, receiver: Store, archive: Path) -> None:
    keep_layer(receiver, BASE, content="of this machine")
    with pytest.raises(StepError, match="another make") as raised:
        read_archive(archive, receiver, quiet)
    assert raised.value.hint.startswith("labctl image rm ")


def test_what_is_no_archive_is_said_so(receiver: Store, tmp_path: Path) -> None:
    for name, content in (("text", b"hello\n" * 5000), ("empty", b""), ("zst", b"\x28\xb5\x2f\xfdnonsense")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(StepError, match="no archive of image layers"):
            read_archive(tmp_path / name, receiver, quiet)
    for place in (tmp_path / "nowhere", tmp_path, tmp_path / "text" / "x"):
        with pytest.raises(StepError, match="there is no archive"):
            read_archive(place, receiver, quiet)


@pytest.mark.parametrize("keep", [700, 5000, 200_000])
def test_an_archive_cut_short_leaves_no_half_layer(receiver: Store, archive: Path, tmp_path: Path, keep: int) -> None:
    cut = tmp_path / "cut.tar"
    cut.write_bytes(archive.read_bytes()[:keep])
    with pytest.raises(StepError):
        read_archive(cut, receiver, quiet)
    assert not list(receiver.directory.glob(".building*"))
    assert all(layer.usable for layer in receiver.layers())


def members_of(archive: Path) -> Members:
    with tarfile.open(archive) as tar:
        files = [(member, tar.extractfile(member)) for member in tar]
        return [(member, file.read() if file else b"") for member, file in files]


def write(archive: Path, members: Members) -> Path:
    with tarfile.open(archive, "w") as tar:
        for member, content in members:
            if member.isreg():
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return archive


def renamed(index: int, name: str) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        members[index][0].name = name

    return change


def as_kind(index: int, kind: bytes, target: str) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        members[index][0].type, members[index][0].linkname = kind, target

    return change


def extra(name: str, place: int) -> Callable[[Members], None]:
    return lambda members: members.insert(place, (tarfile.TarInfo(name), b"x"))


def changed_disk(members: Members) -> None:
    members[1] = (members[1][0], members[1][1][:-1] + b"!")


def longer_disk(members: Members) -> None:
    members[1] = (members[1][0], members[1][1] + b"!")


ATTACKS = {
    "a name that climbs": renamed(1, f"{BASE.digest}/../../evil"),
    "an absolute name": renamed(1, "/tmp/evil-of-labctl"),
    "a record of no layer": renamed(0, "evil/layer.json"),
    "a digest that climbs": renamed(0, "../../../evil/layer.json"),
    "a file of another layer": renamed(1, f"{'1' * 64}/{DISK}"),
    "a file no layer has": renamed(1, f"{BASE.digest}/authorized_keys"),
    "files in another order": renamed(1, f"{BASE.digest}/vmlinux"),
    "a symbolic link": as_kind(1, tarfile.SYMTYPE, "/etc/passwd"),
    "a hard link": as_kind(1, tarfile.LNKTYPE, "/etc/passwd"),
    "a device": as_kind(1, tarfile.CHRTYPE, ""),
    "a directory": as_kind(1, tarfile.DIRTYPE, ""),
    "something before all": extra("README", 0),
    "something between": extra("../evil", 1),
    "something after": extra(f"{BASE.digest}/evil", 4),
    "changed content": changed_disk,
    "more content than said": longer_disk,
    "a record alone": lambda members: members.__delitem__(slice(1, None)),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_an_archive_with_a_trap_is_refused_and_writes_nowhere_else(
    receiver: Store, archive: Path, tmp_path: Path, attack: Callable[[Members], None]
) -> None:
    members = members_of(archive)
    attack(members)
    trapped = write(tmp_path / "trapped.tar", members)
    before = set(outside(tmp_path))
    with pytest.raises(LabError):
        read_archive(trapped, receiver, quiet)
    assert set(outside(tmp_path)) == before
    assert not Path("/tmp/evil-of-labctl").exists()
    assert not list(receiver.directory.glob(".building*"))
    assert all(layer.usable and receiver.verify(layer.record.digest, receiver.directory) == () for layer in receiver.layers())


def outside(place: Path) -> Iterator[Path]:
    return (path for path in place.rglob("*") if "receiver" not in path.parts)


def forge(members: Members, start: int, disk: bytes, cmdline: str = "root=/dev/vda") -> None:
    """Another disk in the layer whose record stands at `start`, with digests that agree."""
    import hashlib

    data = json.loads(members[start][1])
    data["files"][DISK] = {"sha256": hashlib.sha256(disk).hexdigest(), "size": len(disk)}
    data["cmdline"] = cmdline
    data["content"] = digest_of({"recipe": data["digest"], "files": data["files"], "cmdline": cmdline, "parent": data["parent_content"]})
    members[start] = (members[start][0], json.dumps(data).encode())
    members[start + 1] = (members[start + 1][0], disk)


@pytest.mark.parametrize("backing", ["/etc/passwd", "../../../../etc/passwd", "json:{}", "nbd://example.net"])
def test_a_disk_that_would_read_a_file_of_the_host_is_refused(receiver: Store, archive: Path, tmp_path: Path, backing: str) -> None:
    evil = tmp_path / "evil.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", backing, "-F", "raw", str(evil), "1M"], check=True)
    for start in (0, 4):
        members = members_of(archive)
        forge(members, start, evil.read_bytes())
        with pytest.raises(StepError, match="not its parent's"):
            read_archive(write(tmp_path / "evil.tar", members), receiver, quiet)


def test_a_disk_that_keeps_its_data_in_another_file_is_refused(receiver: Store, archive: Path, tmp_path: Path) -> None:
    members = members_of(archive)
    disk = bytearray(members[1][1])
    struct.pack_into(">Q", disk, 72, 4)
    forge(members, 0, bytes(disk))
    with pytest.raises(StepError, match="another file"):
        read_archive(write(tmp_path / "evil.tar", members), receiver, quiet)


def test_a_layer_too_large_for_this_disk_is_refused_before_it_is_read(receiver: Store, archive: Path, tmp_path: Path) -> None:
    members = members_of(archive)
    data = json.loads(members[0][1])
    data["files"][DISK]["size"] = 1 << 60
    data["content"] = digest_of({"recipe": data["digest"], "files": data["files"], "cmdline": data["cmdline"], "parent": ""})
    members[0] = (members[0][0], json.dumps(data).encode())
    with pytest.raises(HostError, match="no room") as raised:
        read_archive(write(tmp_path / "large.tar", members), receiver, quiet)
    assert str(receiver.directory) in raised.value.why


def test_another_make_of_a_layer_that_is_here_is_refused(sender: Store, receiver: Store, archive: Path) -> None:
    base = keep_layer(receiver, BASE, content="of this machine")
    keep_layer(receiver, package_recipe(), parent_content=base.content)
    with pytest.raises(StepError, match="in another make"):
        read_archive(archive, receiver, quiet)


def test_a_record_tells_nothing_beyond_its_fields(archive: Path) -> None:
    data = json.loads(members_of(archive)[0][1])
    assert set(data) == {"digest", "recipe", "files", "cmdline", "built", "parent_content", "content"}
    assert members_of(archive)[0][0].name == f"{BASE.digest}/{RECORD}"
    assert LayerRecord.__dataclass_fields__.keys() <= data.keys()

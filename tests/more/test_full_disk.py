"""A disk that becomes full under a running lab and while another comes up: told with place and amount, nothing harmed, all recoverable.

The state directory lies on a small file system of the test's own, at a path with blanks and letters of another language that is too
long for a socket.
"""

import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Labctl
from tests.small_disk import SmallDisk, small_disk

pytestmark = pytest.mark.e2e
SIZE_MIB = 480
LAB = "name: small-disk\ntitle: One machine\nnodes:\n  pc1: {role: host, memory: 256MiB}\n"
BIG_MIB = 64
WRITE = f"dd if=/dev/urandom of=/root/big bs=1M count={BIG_MIB} conv=fsync && touch /root/written"


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    place = tmp_path_factory.mktemp("small") / "ein langer Weg, 日本語 100%h" / ("x" * 100)
    assert len(bytes(place)) > 108
    with small_disk(place, SIZE_MIB) as small:
        yield small


@pytest.fixture(autouse=True)
def _room_again(disk: SmallDisk) -> Iterator[None]:
    yield
    (disk.place / "filler").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def lab_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("small-disk")
    (place / "lab.yaml").write_text(LAB)
    return place


@pytest.fixture(scope="module")
def lab(disk: SmallDisk, lab_file: Path) -> Iterator[Labctl]:
    labctl = Labctl(disk.inner, prefix=disk.argv_inside(()))
    labctl("up", str(lab_file), "--fresh")
    yield labctl
    for record in (disk.place / "labctl" / "instances").glob("*/instance.json"):
        labctl("down", "--instance", record.parent.name, status=None)


def test_a_lab_lives_at_a_long_path_of_any_letters_and_is_reached_there(lab: Labctl) -> None:
    assert lab.text("exec", "pc1", "--", "hostname").strip() == "pc1"
    assert lab.text("ssh", "pc1", "--", "hostname").strip() == "pc1"


def node(lab: Labctl) -> dict[str, str]:
    found: dict[str, str] = lab.json("status", "small-disk")[0]["nodes"][0]
    return found


def test_a_node_whose_disk_finds_no_room_stands_still_is_named_and_goes_on_where_it_was(
    lab: Labctl, disk: SmallDisk, lab_file: Path
) -> None:
    filler = disk.fill(leave_kib=24 * 1024)
    lab("exec", "pc1", "--", "sh", "-c", f"({WRITE}) >/dev/null 2>&1 &")
    deadline = time.monotonic() + 120
    while node(lab)["state"] != "paused":
        assert time.monotonic() < deadline, "it stands still"
        time.sleep(0.5)
    assert "is full" in node(lab)["why"]
    assert "labctl up" in lab.text("status")
    began = time.monotonic()
    assert b"pc1" in lab("exec", "pc1", "--", "true", status=255).stderr
    assert time.monotonic() - began < 60, "a node that stands still holds nobody up"
    refused = lab("up", str(lab_file), status=4).stderr.decode()
    assert "MiB are needed in" in refused
    assert node(lab)["state"] == "paused", "it is not let run into the same wall"
    filler.unlink()
    lab("up", str(lab_file))
    assert node(lab)["state"] == "running"
    deadline = time.monotonic() + 180
    while lab("exec", "pc1", "--", "test", "-e", "/root/written", status=None).returncode:
        assert time.monotonic() < deadline, "what it wrote is written to the end"
        time.sleep(1)
    assert lab.text("exec", "pc1", "--", "stat", "-c", "%s", "/root/big").strip() == str(BIG_MIB << 20)
    lab("exec", "pc1", "--", "rm", "/root/big", "/root/written")


def test_a_checkpoint_that_finds_no_room_is_refused_before_anything_stands_still(lab: Labctl, disk: SmallDisk) -> None:
    filler = disk.fill(leave_kib=64 * 1024)
    refused = lab("checkpoint", "save", "mine", status=4).stderr.decode()
    filler.unlink()
    assert "MiB are needed in" in refused
    assert str(disk.inner) in refused
    assert node(lab)["state"] == "running"
    assert lab.text("exec", "pc1", "--", "hostname").strip() == "pc1"


def test_a_lab_that_does_not_fit_is_refused_with_place_and_amount(lab: Labctl, disk: SmallDisk, lab_file: Path) -> None:
    filler = disk.fill(leave_kib=4 * 1024)
    refused = lab("up", str(lab_file), "--instance", "second", status=4).stderr.decode()
    filler.unlink()
    assert "MiB are needed in" in refused
    assert "MiB are free" in refused


def fill_at(disk: SmallDisk, process: "subprocess.Popen[bytes]", word: bytes, heard: list[bytes]) -> None:
    """Take all room as soon as the command says `word`."""
    assert process.stderr is not None
    for line in process.stderr:
        if word in line and not any(word in earlier for earlier in heard):
            disk.fill()
        heard.append(line)


@pytest.mark.parametrize("word", ["namespaces and hypervisor", "wires", "make pc1", "save the lab"])
def test_a_disk_that_fills_while_a_lab_comes_up_ends_in_a_lab_or_in_words_and_up_goes_on(
    lab: Labctl, disk: SmallDisk, lab_file: Path, word: str
) -> None:
    lab("up", str(lab_file), "--instance", "small-disk")
    lab("exec", "pc1", "--instance", "small-disk", "--", "sh", "-c", "echo runs on >/run/note")
    heard: list[bytes] = []
    with lab.start("up", str(lab_file), "--instance", "second", "--fresh") as process:
        listener = threading.Thread(target=fill_at, args=(disk, process, word.encode(), heard))
        listener.start()
        status = process.wait(timeout=300)
        listener.join()
    said = b"".join(heard).decode()
    assert word in said, "the disk was filled"
    assert "Traceback" not in said
    assert status in (0, 4), said
    if status == 4:
        assert "MiB" in said
        assert str(disk.inner) in said
    (disk.place / "filler").unlink()
    lab("up", str(lab_file), "--instance", "small-disk")  # where its node wanted to write meanwhile, it stood still
    assert lab.text("exec", "pc1", "--instance", "small-disk", "--", "cat", "/run/note").strip() == "runs on", "the other lab is unharmed"
    lab("up", str(lab_file), "--instance", "second")
    assert lab.text("exec", "pc1", "--instance", "second", "--", "hostname").strip() == "pc1"
    disk.fill()
    lab("down", "--instance", "second")  # on a full disk too
    (disk.place / "filler").unlink()
    assert [place.name for place in (disk.place / "labctl" / "instances").glob("[!.]*")] == ["small-disk"]


def test_a_state_directory_that_cannot_be_written_is_told_before_anything_starts(tmp_path: Path, lab_file: Path) -> None:
    with small_disk(tmp_path / "closed", 16, read_only=True) as closed:
        refused = Labctl(closed.inner, prefix=closed.argv_inside(()))("up", str(lab_file), status=4).stderr.decode()
    assert "mounted read-only" in refused
    assert "XDG_STATE_HOME" in refused
    (tmp_path / "mine").mkdir(mode=0o500)
    assert "mode 0500" in Labctl(tmp_path / "mine")("up", str(lab_file), status=4).stderr.decode()

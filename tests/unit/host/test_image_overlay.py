"""Overlays of what differs, made and read back by the real qemu programs."""

import subprocess
from pathlib import Path

import pytest

from labctl.errors import HostError
from labctl.host.image_overlay import CLUSTER, differing_clusters, make_overlay, runs, written_clusters
from labctl.host.image_store import backing_of


def write(file: Path, size: int, pieces: dict[int, bytes]) -> Path:
    with file.open("wb") as target:
        target.truncate(size)
        for place, content in pieces.items():
            target.seek(place)
            target.write(content)
    return file


def test_neighbours_are_written_at_once_but_not_without_end() -> None:
    assert list(runs([])) == []
    assert list(runs([1, 2, 3, 7, 9, 10])) == [(1, 3), (7, 1), (9, 2)]
    assert list(runs(range(600))) == [(0, 256), (256, 256), (512, 88)]


def test_only_written_clusters_are_read(tmp_path: Path) -> None:
    file = write(tmp_path / "raw", 1 << 40, {0: b"a", 5 * CLUSTER - 1: b"bb", 1 << 39: b"c"})
    with file.open("rb") as handle:
        assert {0, 4, 5, (1 << 39) // CLUSTER} == set(written_clusters(handle.fileno(), 1 << 40))


def test_a_byte_is_a_difference_and_so_is_one_that_became_zero(tmp_path: Path) -> None:
    old = write(tmp_path / "old", 64 * CLUSTER, {0: b"same", 7 * CLUSTER: b"gone", 20 * CLUSTER + 9: b"x"})
    new = write(tmp_path / "new", 64 * CLUSTER, {0: b"same", 20 * CLUSTER + 9: b"y", 63 * CLUSTER: b"end"})
    assert differing_clusters(old, new) == (7, 20, 63)


def test_images_of_different_size_are_not_compared(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="differ in size"):
        differing_clusters(write(tmp_path / "a", 4096, {}), write(tmp_path / "b", 8192, {}))


def test_an_overlay_reads_as_the_new_image_wherever_both_directories_move(tmp_path: Path) -> None:
    parent, build = tmp_path / "here" / "parent", tmp_path / "here" / "build"
    parent.mkdir(parents=True)
    build.mkdir()
    size = 200 * CLUSTER
    old = write(build / "old", size, {0: b"a" * 100_000, 50 * CLUSTER: b"gone" * 40_000})
    new = write(build / "new", size, {0: b"a" * 100_000, 3 * CLUSTER: b"new" * 99_999, size - 3: b"end"})
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", str(old), str(parent / "disk.qcow2")], check=True)
    make_overlay(old, new, parent / "disk.qcow2", build / "disk.qcow2")
    expected = new.read_bytes()
    moved = tmp_path / "there"
    (tmp_path / "here").rename(moved)
    disk = moved / "build" / "disk.qcow2"
    assert backing_of(disk.read_bytes()) == "../parent/disk.qcow2"
    assert disk.stat().st_size < 2 << 20
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(disk), str(tmp_path / "read")], check=True)
    assert (tmp_path / "read").read_bytes() == expected
    assert not (moved / "build" / "pieces").exists()


def test_a_layer_must_lie_beside_its_parent(tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "parent").mkdir(parents=True)
    (tmp_path / "build").mkdir()
    raw = write(tmp_path / "raw", 4096, {})
    with pytest.raises(HostError, match="not beside"):
        make_overlay(raw, raw, tmp_path / "elsewhere" / "parent" / "disk.qcow2", tmp_path / "build" / "disk.qcow2")

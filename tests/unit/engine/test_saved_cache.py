"""The cache of saved machines keeps to its limit and takes away nothing that is used."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.engine.checkpoints import checkpoint_store
from labctl.engine.instances import InstanceRecord, NodeRecord, make_directory, write_record
from labctl.engine.points import list_points, point_store
from labctl.engine.saved_cache import limit_bytes, orphans, remove_orphan, trim, using_saved
from labctl.engine.up import UpOptions, up
from labctl.engine.warm import warm_store
from labctl.errors import UsageError
from labctl.host.warmstarts import SavedStore
from labctl.lab.load import load_lab, shipped_labs

MIB = 2**20


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def saved(store: SavedStore, digest: str, age: int, chain: tuple[str, ...] = ()) -> Path:
    """A saved machine of one MiB, last used `age` seconds ago."""

    def build(place: Path) -> None:
        (place / "ram").write_bytes(os.urandom(MIB))
        make_disk(place / "disk.qcow2", chain)

    place = store.make(digest, build, {})
    os.utime(place / "whole", (1_700_000_000 - age,) * 2)
    return place


def make_disk(disk: Path, below: tuple[str, ...] = ()) -> None:
    backing = ["-b", below[0], "-F", "qcow2"] if below else []
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(disk), "1M"], check=True)


def test_the_least_recently_used_goes_first_and_only_as_much_as_is_over() -> None:
    old, middle, new = (saved(checkpoint_store(), name, age) for name, age in (("old", 30), ("middle", 20), ("new", 10)))
    assert trim(10 * MIB) == ()
    assert trim(2 * MIB + MIB // 2) == (old,)
    assert not old.exists()
    assert middle.exists()
    assert new.exists()


def test_what_a_checkpoint_an_instance_or_nothing_lies_on() -> None:
    base = saved(warm_store(), "warm", 40)
    above = saved(checkpoint_store(), "checkpoint", 30, (f"{base}/disk.qcow2",))
    unused = saved(warm_store(), "unused", 20)
    directory = make_directory("l2")
    node = NodeRecord("pc1", 0, "host", 256, 1, "u", "169.254.1.0", (), "layer")
    make_disk(directory / "disks" / "pc1.qcow2", (f"{above}/disk.qcow2",))
    write_record(
        InstanceRecord(
            id="l2", lab="l2", file="", variant="default", digest="", directory=directory, short="/srv", created=1.0,
            accelerator="tcg", time_scale=4.0, nodes=(node,), checkpoint=str(above),
        )
    )  # fmt: skip
    assert trim(0) == (unused,)
    assert base.exists()
    assert above.exists()


def test_a_checkpoint_that_goes_frees_what_it_lay_on() -> None:
    base = saved(warm_store(), "warm", 10)
    above = saved(checkpoint_store(), "checkpoint", 30, (f"{base}/disk.qcow2",))
    assert trim(0) == (above, base)


@pytest.mark.parametrize("lab", ["/path", "*", "..", ".", "l2-switch/mine", ""])
def test_points_of_what_is_no_lab_are_none(lab: str) -> None:
    saved(point_store("l2-switch"), "mine", 10)
    assert [point.name for point in list_points("l2-switch")] == [point.name for point in list_points()] == ["mine"]
    assert list_points(lab) == ()


def test_a_half_made_directory_is_never_found(tmp_path: Path) -> None:
    store = SavedStore(tmp_path / "saved")

    def fails(place: Path) -> None:
        (place / "ram").write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.make("digest", fails, {})
    assert store.find("digest") is None
    assert [entry for entry in (tmp_path / "saved").iterdir() if not entry.name.startswith(".")] == []


@pytest.mark.parametrize("word", ["much", "20G", "", "inf", "nan"])
def test_a_limit_that_is_no_number_is_refused_before_anything_starts(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABCTL_SAVED_GIB", word)
    with pytest.raises(UsageError, match="LABCTL_SAVED_GIB"):
        limit_bytes()
    lab = load_lab(shipped_labs()[0])
    lab = replace(lab, nodes=tuple(replace(node, uplink=True) for node in lab.nodes))  # refused in any case
    with pytest.raises(UsageError, match="LABCTL_SAVED_GIB"):
        up(lab, instance=None, options=UpOptions(), report=lambda _: None)


def test_a_checkpoint_that_machines_may_run_on_is_never_replaced_and_the_newest_is_found(tmp_path: Path) -> None:
    store = SavedStore(tmp_path / "saved")
    kept = []
    for content in ("first", "second", "third"):
        with store.half_made("digest") as place:
            (place / "disk.qcow2").write_text(content)
            kept.append(store.keep(place, "digest"))
        assert store.find("digest") == kept[-1]
    assert [(place / "disk.qcow2").read_text() for place in kept] == ["first", "second", "third"]


def test_a_saved_machine_whose_image_is_gone_is_an_orphan_unless_something_lies_on_it(tmp_path: Path) -> None:
    layer = tmp_path / "layer.qcow2"
    make_disk(layer)
    base = saved(warm_store(), "warm", 20, (str(layer),))
    assert orphans() == ()
    layer.unlink()
    assert orphans() == (base,)
    assert remove_orphan(base)
    assert not base.exists()


def test_nothing_goes_while_another_labctl_starts_machines() -> None:
    place = saved(checkpoint_store(), "checkpoint", 10)
    with using_saved("bring up l2"):
        assert trim(0) == ()
        assert not remove_orphan(place)
    assert trim(0) == (place,)

"""`gc` removes what killed commands left, by note and record, and nothing that only looks like it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from labctl.engine.down import down
from labctl.engine.events import silent
from labctl.engine.gc import collect, find_leftovers
from labctl.engine.instances import BRING_UP, InstanceRecord, instance_lock, list_instances, lock_file, make_directory, write_record
from labctl.engine.status import explain_end, status
from labctl.errors import UsageError
from labctl.host.places import cache_directory, images_directory, instances_directory, scratch_directory, state_directory

LEAVE = """
import os, sys
from pathlib import Path
from labctl.host.making import making
with making(Path(sys.argv[1]), "a thing") as place:
    (place / "half").write_bytes(b"x" * 8192)
    os.kill(os.getpid(), 9)
"""
BEGIN = """
import os, sys
from labctl.engine.instances import instance_lock, make_directory
with instance_lock(sys.argv[1], "bring up"):
    make_directory(sys.argv[1])
    os.kill(os.getpid(), 9)
"""


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def killed(program: str, argument: str) -> None:
    assert subprocess.run((sys.executable, "-c", program, argument), check=False).returncode == -9


def made(name: str) -> InstanceRecord:
    with instance_lock(name, "bring up"):
        record = InstanceRecord(
            id=name, lab=name, file="", variant="default", digest="", directory=make_directory(name), short="/srv", created=1.0,
            accelerator="tcg", time_scale=4.0,
        )  # fmt: skip
        write_record(record)
    return record


MAKERS_PLACES = ("scratch/machine-1", "checkpoints/l2/half-1", "doctor-1"), ("images/.building-1", "warm/half-1", "checkpoints/half-1")


def test_what_killed_makers_left_is_listed_with_its_size_and_removed() -> None:
    places = [root / path for root, paths in zip((state_directory(), cache_directory()), MAKERS_PLACES, strict=True) for path in paths]
    for place in places:
        killed(LEAVE, str(place))
    found = find_leftovers(dead=False)
    assert {leftover.path for leftover in found} == set(places)
    assert all(leftover.kind == "making" and leftover.size_bytes >= 8192 for leftover in found)
    assert set(collect(found)) == set(found)
    assert not [place for place in places if place.exists()]
    assert find_leftovers(dead=True) == ()
    assert list(scratch_directory().iterdir()) == []


def test_an_instance_that_was_killed_before_its_record_is_removed_with_its_lock() -> None:
    killed(BEGIN, "l2")
    assert [(leftover.kind, leftover.name) for leftover in find_leftovers(dead=False)] == [("directory", "l2")]
    collect(find_leftovers(dead=False))
    assert list(instances_directory().iterdir()) == []


def test_a_dead_instance_keeps_its_disks_until_it_is_said_that_they_are_not_wanted() -> None:
    record = made("l2")
    (record.directory / "disks" / "pc1.qcow2").write_bytes(b"x" * 8192)
    assert find_leftovers(dead=False) == ()
    (found,) = find_leftovers(dead=True)
    assert (found.kind, found.name) == ("dead", "l2")
    assert found.size_bytes >= 8192
    collect((found,))
    assert list(instances_directory().iterdir()) == []


def test_an_instance_that_somebody_brings_up_is_not_dead() -> None:
    record = made("l2")
    with instance_lock("l2", BRING_UP):
        assert find_leftovers(dead=True) == ()
        assert (status(record).state, "process" in status(record).why) == ("starting", True)
    assert status(record).state == "dead"


def test_down_leaves_no_lock_and_a_second_down_finds_nothing_to_do() -> None:
    record = made("l2")
    assert lock_file("l2").exists()
    down(record, silent)
    down(record, silent)
    assert list(instances_directory().iterdir()) == []
    assert list_instances() == ()


def test_what_only_looks_like_labctls_own_is_left_alone() -> None:
    alike = {
        instances_directory() / "notes": "my notes",
        instances_directory() / ".notes.lock": "a lock of mine",
        state_directory() / "scratch" / "machine-12345678": "mine",
        state_directory() / "checkpoints" / "l2" / "half-mine-1234": "mine",
        cache_directory() / "warm" / "half-abc-1234": "mine",
        cache_directory() / "warm" / ".half-abc-1234.making": "mine",
        cache_directory() / "checkpoints" / ("0" * 64): "mine",
        images_directory() / ".building-mine": "mine",
        images_directory() / ".mine.lock": "mine",
        images_directory() / "copy.qcow2.new": "mine",
    }
    for path, text in alike.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if "." in path.name:
            path.write_text(text)
        else:
            path.mkdir()
            (path / "file").write_text(text)
    (images_directory() / "link").symlink_to("nowhere")
    found = find_leftovers(dead=True)
    assert found == ()
    collect(found)
    for path, text in alike.items():
        assert (path if path.is_file() else path / "file").read_text() == text
    assert (images_directory() / "link").is_symlink()


def test_a_directory_of_somebody_is_not_taken_for_an_instance() -> None:
    foreign = instances_directory() / "l2"
    foreign.mkdir(parents=True)
    (foreign / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="not labctl's"), instance_lock("l2", "bring up"):
        make_directory("l2")
    assert os.listdir(foreign) == ["thesis.txt"]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (None, "not seen"),
        ({"time": 1.0, "how": "signal", "number": 9}, "by SIGKILL, as the kernel does when memory runs out"),
        ({"time": 1.0, "how": "signal", "number": 11}, "by SIGSEGV"),
        ({"time": 1.0, "how": "status", "number": 1}, "with status 1"),
        ({"time": 1.0, "how": "status", "number": 0}, "switched off"),
    ],
)
def test_how_a_machine_ended_is_told(entry: dict[str, object] | None, words: str) -> None:
    assert words in explain_end(entry)

"""Records of instances: whole or refused, found by what a person types."""

from dataclasses import replace
from pathlib import Path

import pytest

from labctl.engine.gc import collect, find_leftovers
from labctl.engine.instances import (
    InstanceRecord,
    NodeRecord,
    PortRecord,
    find_instance,
    list_instances,
    make_directory,
    read_record,
    remove_directory,
    write_record,
)
from labctl.engine.journal import Journal
from labctl.errors import StepError, UsageError

PORT = PortRecord("eth1", "n0p0", "52:54:00:12:30:00", ("192.168.1.11/24",))
NODE = NodeRecord("pc1", 0, "host", 256, 1, "uuid", "169.254.1.0", (PORT,), "layer", ("/a", "/b"))


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def made(name: str, lab: str = "l2-switch", created: float = 1.0) -> InstanceRecord:
    record = InstanceRecord(
        id=name, lab=lab, file="/labs/x/lab.yaml", variant="default", digest="d", directory=make_directory(name), short="/srv",
        created=created, accelerator="tcg", time_scale=4.0, nodes=(NODE,), cables=(("pc1:eth1", "sw1:port1"),), cut=("pc1:eth1",),
        settings={"sw1": {"learning": False}},
    )  # fmt: skip
    write_record(record)
    return record


def test_a_record_comes_back_as_it_was_written() -> None:
    record = made("l2-switch")
    assert read_record(record.directory) == record


def test_a_record_of_another_version_is_refused_and_never_misread() -> None:
    record = made("l2-switch")
    file = record.directory / "instance.json"
    file.write_text(file.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(StepError, match="another version"):
        read_record(record.directory)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null", '{"format": 1}', '{"format": 1, "nodes": 7, "cables": []}'])
def test_a_damaged_record_is_named_and_left_out_of_the_list(text: str) -> None:
    record = made("l2-switch")
    (record.directory / "instance.json").write_text(text)
    with pytest.raises(StepError):
        read_record(record.directory)
    assert list_instances() == ()


def test_an_instance_is_found_by_its_name_its_lab_or_because_it_is_the_only_one() -> None:
    first = made("l2-switch")
    assert find_instance() == find_instance("l2-switch") == find_instance(instance="l2-switch") == first
    made("second", created=2.0)
    assert find_instance("l2-switch") == first  # its own name says which
    with pytest.raises(UsageError, match="several"):
        find_instance()
    with pytest.raises(UsageError, match="no instance 'third'"):
        find_instance(instance="third")


@pytest.mark.parametrize("name", ["../x", "a/b", "", "A", ".x", "x" * 41, "a b", "-a", "a\n"])
def test_a_name_that_is_no_name_becomes_no_directory(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        make_directory(name)
    assert not (tmp_path / "labctl").exists()


def test_a_dead_first_process_is_not_taken_for_a_later_one_with_its_pid() -> None:
    record = replace(made("l2-switch"), first_pid=1, first_started=123456789)
    assert not record.alive


def test_gc_removes_what_has_no_record_and_leaves_what_is_not_ours() -> None:
    record = made("l2-switch")
    orphan = make_directory("orphan")
    Journal(orphan).write("begin instance")
    foreign = record.directory.parent / "notes"
    foreign.mkdir()
    assert [one.name for one in find_leftovers(dead=False)] == ["orphan"]
    assert [one.name for one in find_leftovers(dead=True)] == ["orphan", "l2-switch"]
    collect(find_leftovers(dead=False))
    assert not orphan.exists()
    assert foreign.exists()
    assert record.directory.exists()


def test_removing_a_directory_takes_the_record_last() -> None:
    record = made("l2-switch")
    remove_directory(record.directory)
    assert not record.directory.exists()


def test_a_journal_line_cut_short_by_a_kill_never_happened(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with journal.intent("disk", node="pc1"):
        pass
    with (tmp_path / "journal.jsonl").open("a") as file:
        file.write('{"time": 1, "what": "beg')
    assert [entry["what"] for entry in journal.entries()] == ["begin disk", "done disk"]


def test_a_journal_tells_what_was_done_since_the_last_start(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert not journal.holds("done wires", since="begin namespace")
    for what in ("begin namespace", "done wires", "begin namespace"):
        journal.write(what)
    assert not journal.holds("done wires", since="begin namespace")
    journal.write("done wires")
    assert journal.holds("done wires", since="begin namespace")

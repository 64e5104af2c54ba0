"""Records are read as what they were, or refused: whatever stands in the file, nothing is guessed."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labctl.engine import instances
from labctl.engine.checkpoints import chains_of
from labctl.engine.instances import InstanceRecord, find_instance, list_instances, read_record, unreadable, write_record
from labctl.engine.points import list_points
from labctl.engine.saved_cache import used_places
from labctl.engine.typed import Unfit, Unknown, built, parse
from labctl.errors import LabError, StepError
from labctl.host.places import instances_directory
from tests.unit.engine.test_instances import made

QUIET = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=8,
)


@dataclass(frozen=True)
class Part:
    name: str
    number: int = 0


@dataclass(frozen=True)
class Whole:
    parts: tuple[Part, ...]
    pair: tuple[str, int]
    share: float = 0.0
    maybe: str | None = None
    map: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    on: bool = False


RECORDS: dict[Path, InstanceRecord] = {}
GOOD = Whole((Part("a", 1),), ("x", 2), 0.5, "y", {"k": ("l",)}, True)


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_what_was_written_comes_back() -> None:
    assert built(Whole, json.loads(json.dumps(asdict(GOOD)))) == GOOD
    assert built(Whole, {"parts": [], "pair": ["x", 2]}) == Whole((), ("x", 2)), "what an older labctl did not write takes its default"


@pytest.mark.parametrize(
    "wrong",
    [
        {"parts": "ab"},
        {"parts": {}},
        {"parts": ["a"]},
        {"parts": [{"name": 7}]},
        {"parts": [{"name": "a", "number": True}]},
        {"parts": [{"name": "a", "number": 1.0}]},
        {"pair": ["x"]},
        {"pair": ["x", 2, 3]},
        {"pair": ["x", "2"]},
        {"share": "0.5"},
        {"share": True},
        {"share": float("inf")},
        {"maybe": 7},
        {"map": [["k", []]]},
        {"map": {"k": "l"}},
        {"on": 1},
        {"on": None},
    ],
)
def test_another_type_is_refused_and_the_place_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(Unfit, match=f"it.{next(iter(wrong))}"):
        built(Whole, {**asdict(GOOD), **wrong} if "parts" in wrong else {"parts": [], "pair": ["x", 2], **wrong})


def test_a_field_of_a_newer_labctl_is_told_apart() -> None:
    with pytest.raises(Unknown, match="'later'"):
        built(Whole, {"parts": [], "pair": ["x", 2], "later": 1})


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "NaN", "[Infinity]", "9" * 5000, "\x00", '"\\'])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(Unfit):
        parse(text)


def _a_record() -> tuple[Path, str]:
    """The file of a record, and what stands in it when it is whole; written durably once only."""
    directory = instances_directory() / "l2-switch"
    record = RECORDS.get(directory) or RECORDS.setdefault(directory, made("l2-switch"))
    return directory / "instance.json", json.dumps({**asdict(record), "directory": str(directory), "format": 1})


def _read(file: Path) -> InstanceRecord | LabError:
    """What the file is read as; whatever is no record is a LabError that says why."""
    try:
        return read_record(file.parent)
    except LabError as refused:
        told = refused
    assert told.what
    assert told.why
    return told


@QUIET
@given(data=st.data())
def test_a_record_with_something_changed_is_the_same_record_or_refused(data: st.DataObject) -> None:
    file, text = _a_record()
    whole = json.loads(text)
    here: Any = whole
    while isinstance(here, dict | list) and here and data.draw(st.booleans()):
        parent, key = here, data.draw(st.sampled_from(sorted(here) if isinstance(here, dict) else range(len(here))))
        here = parent[key]
        if data.draw(st.booleans()):
            parent[key] = data.draw(JSON)
            break
    file.write_text(json.dumps(whole))
    found = _read(file)
    if isinstance(found, LabError):
        return
    again = {**json.loads(json.dumps(asdict(found), default=str)), "format": 1}
    assert again == {**again, **whole, "directory": str(file.parent)}, "what was read is what stands there, type by type"


@QUIET
@given(at=st.integers(0, 2000), length=st.integers(0, 30), piece=st.binary(max_size=8))
def test_bytes_changed_in_a_record_end_in_a_record_or_a_refusal(at: int, length: int, piece: bytes) -> None:
    file, text = _a_record()
    whole = text.encode()
    file.write_bytes(whole[:at] + piece + whole[at + length :])
    _read(file)
    assert len(list_instances()) + len(unreadable()) == 1, "it is listed, or what is wrong with it is"


def test_a_record_of_a_newer_labctl_is_refused_by_name_and_never_half_read() -> None:
    record = made("l2-switch")
    file = record.directory / "instance.json"
    for change in ({"format": 2}, {"a-later-field": 1}):
        file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
        with pytest.raises(StepError, match="another version"):
            find_instance("l2-switch")
        write_record(record)


def test_a_record_of_an_older_labctl_is_brought_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    record = made("l2-switch")
    file = record.directory / "instance.json"
    data = json.loads(file.read_text())
    for later in ("uplink_allowed", "broken", "checkpoint"):
        data.pop(later)
    file.write_text(json.dumps(data))
    assert read_record(record.directory) == record, "fields that came later have defaults"

    def renamed(old: dict[str, Any]) -> None:
        old["accelerator"] = old.pop("acceleration")

    monkeypatch.setattr(instances, "FORMAT", 2)
    monkeypatch.setattr(instances, "UPGRADES", {1: renamed})
    file.write_text(json.dumps({**{key: value for key, value in data.items() if key != "accelerator"}, "acceleration": "tcg"}))
    assert read_record(record.directory) == record, "a format that is older is brought to today's, step by step"


@pytest.mark.parametrize("name", ["../../evil", "a/b", "", "A", "x" * 21, "pc1\n"])
def test_a_record_cannot_name_a_file_elsewhere(name: str) -> None:
    record = made("l2-switch")
    write_record(replace(record, nodes=(replace(record.nodes[0], name=name),)))
    with pytest.raises(StepError, match="cannot be read"):
        read_record(record.directory)


def test_a_record_of_another_instance_is_not_taken_for_this_ones() -> None:
    record = made("l2-switch")
    other = made("second")
    (other.directory / "instance.json").write_bytes((record.directory / "instance.json").read_bytes())
    with pytest.raises(StepError, match="cannot be read"):
        find_instance(instance="second")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"chains": 7}', '{"chains": {"pc1": "a"}}', '{"chains": {"pc1": [7]}}'])
def test_a_damaged_description_of_a_checkpoint_stops_nothing_and_is_listed(tmp_path: Path, text: str) -> None:
    for place in (tmp_path / "cache/labctl/checkpoints/abc", tmp_path / "labctl/checkpoints/l2-switch/mine"):
        place.mkdir(parents=True)
        (place / "whole").touch()
        (place / "about.json").write_text(text)
        with pytest.raises(StepError, match="cannot be read"):
            chains_of(place)
    assert used_places() == frozenset()
    assert [point.variant for point in list_points()] == ["unreadable"]

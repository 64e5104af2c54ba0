"""Verbs on a running instance: what they refuse, and that they decide by the record as it is while they hold it."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from labctl.engine import at_work, points
from labctl.engine.events import silent
from labctl.engine.instances import InstanceRecord, NodeRecord, list_instances, make_directory, read_record, remove_directory, write_record
from labctl.engine.reset import reset
from labctl.engine.session import Session
from labctl.engine.up import UpOptions, up
from labctl.errors import UsageError
from labctl.lab.load import load_lab
from tests.unit.engine.fake_lab import FakeLab, check, switch_lab

LAB = """\
name: tiny
title: {en: Two machines, ja: 2台のマシン}
nodes:
  pc1: {role: host, uplink: true}
  pc2: host
links:
  - pc1:eth1 -- pc2:eth1
variants:
  other: {pc1: {}}
checks:
  - {id: everywhere, says: {en: a, ja: a}, see: {node: pc1, run: "true"}, sabotage: {pc1: "false"}}
  - {id: elsewhere, variant: other, says: {en: b, ja: b}, see: {node: pc1, run: "true"}, sabotage: {pc1: "false"}}
"""
ALL = ("pc1", "pc2", "pc3", "sw1")
CHECK = check("x", see={"node": "pc3", "run": "have x", "fails": True}, sabotage={"pc3": "touch x"})


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InstanceRecord:
    """An instance of the lab above. It does not run."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "lab.yaml"
    file.write_text(LAB)
    made = InstanceRecord(
        id="tiny", lab="tiny", file=str(file), variant="default", digest="d", directory=make_directory("tiny"), short="/srv",
        created=1.0, accelerator="tcg", time_scale=4.0,
    )  # fmt: skip
    write_record(made)
    return made


def with_nodes(record: InstanceRecord, *names: str) -> InstanceRecord:
    made = replace(
        record, nodes=tuple(NodeRecord(name, number, "host", 256, 1, "u", "169.254.1.0", (), "layer") for number, name in enumerate(names))
    )
    write_record(made)
    return made


def session_of(record: InstanceRecord) -> Session:
    return Session(record, cast("Any", None))


def test_verify_leaves_down_what_another_labctl_took_down(record: InstanceRecord) -> None:
    remove_directory(record.directory)
    with pytest.raises(UsageError, match="no lab is up|no instance"):
        at_work.verify(record, (), None, silent)
    assert list_instances() == ()


@pytest.mark.parametrize("verb", [at_work.verify, at_work.selftest])
@pytest.mark.parametrize(
    ("ids", "variant", "why"),
    [
        (("elsewhere",), "default", "no check `elsewhere` in tiny: it belongs to variant other"),
        (("everywhere", "elsewhere"), "default", "no check `elsewhere` in tiny: it belongs to variant other"),
        (("everywhere",), "othr", "lab tiny has no variant `othr`"),
        ((), "othr", "lab tiny has no variant `othr`"),
    ],
)
def test_a_check_or_variant_that_is_not_there_is_refused_and_never_passed_over(
    record: InstanceRecord, verb: Callable[..., Any], ids: tuple[str, ...], variant: str, why: str
) -> None:
    with pytest.raises(UsageError) as refused:
        verb(record, ids, variant, silent)
    assert str(refused.value) == why


def test_up_makes_no_instance_where_one_that_is_there_is_to_be_brought_over(record: InstanceRecord) -> None:
    remove_directory(record.directory)
    with pytest.raises(UsageError, match="tiny is not there any more"):
        up(load_lab(Path(record.file)), instance="tiny", options=UpOptions(allow_uplink=True, existing=True), report=silent)
    assert not record.directory.exists()


def test_what_another_labctl_broke_meanwhile_is_not_broken_a_second_time(record: InstanceRecord, tmp_path: Path) -> None:
    session, target = session_of(record), FakeLab(switch_lab(CHECK), tmp_path)
    first = at_work._break(session, target, None, 7)
    assert read_record(record.directory).broken["check"] == first.check
    with pytest.raises(UsageError, match="broken already"):
        at_work._break(session, target, None, 7)


@pytest.mark.parametrize(("changed", "first"), [({"cut": ("pc1:eth1",)}, "reset all"), ({}, "reset pc3")])
def test_a_self_test_puts_a_changed_lab_back_first(
    record: InstanceRecord, tmp_path: Path, changed: dict[str, Any], first: str
) -> None:  # fmt: skip
    target = FakeLab(switch_lab(CHECK), tmp_path)
    at_work._prove(session_of(replace(with_nodes(record, *ALL), **changed)), target, (), silent)
    assert target.log[0] == first


# --- an instance with other nodes than its lab file ---


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("pc1", "pc2", "sw1"), "not here: pc3"),
        ((*ALL, "old1", "old2"), "not in the file: old1, old2"),
        (("pc1", "pc2", "sw1", "old1"), "not here: pc3; not in the file: old1"),
    ],
)
def test_what_changes_the_whole_lab_is_refused_before_it_begins_where_nodes_are_missing_or_left(
    record: InstanceRecord, tmp_path: Path, names: tuple[str, ...], why: str
) -> None:
    session, target = session_of(with_nodes(record, *names)), FakeLab(switch_lab(CHECK), tmp_path)
    for act in (partial(at_work._reset, session, target, ()), partial(at_work._prove, session, target, (), silent)):
        with pytest.raises(UsageError) as refused:
            act()
        assert (refused.value.why, refused.value.hint) == (why, "labctl up tiny brings the change over")
    assert target.log == []
    assert read_record(record.directory).unfinished == ""


def test_single_nodes_are_reset_although_another_is_down(record: InstanceRecord, tmp_path: Path) -> None:
    target = FakeLab(switch_lab(CHECK), tmp_path)
    at_work._reset(session_of(with_nodes(record, "pc1", "sw1")), target, ("pc1",))
    assert target.log == ["reset pc1"]


def test_a_node_that_is_not_in_the_lab_file_any_more_is_not_reset(record: InstanceRecord) -> None:
    with pytest.raises(UsageError, match="no node 'old1'"):
        reset(session_of(with_nodes(record, *ALL, "old1")), switch_lab(CHECK), {}, ("old1",), silent)


def test_a_point_of_another_variant_does_not_fit(record: InstanceRecord) -> None:
    store = points.point_store("switch")
    about = points.About(lab="switch", variant="other", made=1.0, keys={}, settings={}, cables=(), cut=(), chains={})
    with store.half_made("lunch") as place:
        (place / "about.json").write_text(json.dumps(asdict(about)))
        store.keep(place, "lunch")
    with pytest.raises(UsageError, match="the checkpoint 'lunch' does not fit any more"):
        points.fitting_point(record, switch_lab(CHECK), {}, "lunch")

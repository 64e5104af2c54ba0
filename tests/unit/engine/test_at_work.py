"""Verbs on a running instance: what they refuse, and that they decide by the record as it is while they hold it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from labctl.engine import at_work
from labctl.engine.events import silent
from labctl.engine.instances import InstanceRecord, list_instances, make_directory, read_record, remove_directory, write_record
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
    at_work._prove(session_of(replace(record, **changed)), target, (), silent)
    assert target.log[0] == first

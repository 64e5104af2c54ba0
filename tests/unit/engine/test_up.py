"""What `up` over a running instance renews beside its machines: where the lab lies, and its way to the internet."""

from dataclasses import replace
from pathlib import Path

import pytest

from labctl.engine.instances import InstanceRecord, make_directory
from labctl.engine.journal import Journal
from labctl.engine.up import brought_over, lacks_uplink
from labctl.lab.topology import Lab
from tests.unit.engine.fake_lab import switch_lab


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InstanceRecord:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return InstanceRecord(
        id="switch", lab="switch", file="/old/lab.yaml", variant="other", digest="old", directory=make_directory("switch"), short="/srv",
        created=1.0, accelerator="tcg", time_scale=4.0,
    )  # fmt: skip


def with_uplink() -> Lab:
    lab = switch_lab()
    return replace(lab, nodes=(replace(lab.nodes[0], uplink=True), *lab.nodes[1:]))


def test_the_other_verbs_read_the_lab_where_the_last_up_found_it(record: InstanceRecord) -> None:
    now = brought_over(record, switch_lab())
    assert (now.file, now.variant, now.digest) == ("/nonexistent/lab.yaml", "default", "0")
    assert not now.uplink_allowed
    assert brought_over(now, with_uplink()).uplink_allowed


def test_a_way_to_the_internet_that_a_running_lab_comes_to_want_is_opened_once(record: InstanceRecord) -> None:
    journal = Journal(record.directory)
    for what in ("begin namespace", "done namespace", "begin wires", "done wires"):
        journal.write(what)
    assert not lacks_uplink(record, switch_lab())
    assert lacks_uplink(record, with_uplink())
    with journal.intent("uplink"):
        assert lacks_uplink(record, with_uplink())
    assert not lacks_uplink(record, with_uplink())
    journal.write("begin namespace")
    assert lacks_uplink(record, with_uplink())

"""What `up` says at its end can be typed as it stands."""

from pathlib import Path

import pytest

from labctl.cli.lifecycle import _lesson_of
from labctl.engine.instances import InstanceRecord
from labctl.lab.load import find_lab, shipped_labs


def record_of(lab: str, file: Path) -> InstanceRecord:
    return InstanceRecord(lab, lab, str(file), "default", "digest", file.parent, "/s", 0.0, "tcg", 4.0, nodes=())


def test_the_guide_of_a_shipped_lab_is_found_by_name_and_that_of_ones_own_by_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = shipped_labs()[0]
    assert _lesson_of(record_of("any", shipped)) == "any"
    own = tmp_path / "my-lab" / "lab.yaml"
    own.parent.mkdir()
    own.touch()
    monkeypatch.chdir(tmp_path)
    assert _lesson_of(record_of("mine", own)) == "my-lab"
    assert find_lab("my-lab") == Path("my-lab/lab.yaml")

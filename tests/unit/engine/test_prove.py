"""What a run of `prove` keeps and under which name. What proving does is tested with real machines, end to end."""

from dataclasses import replace
from pathlib import Path

import pytest

from labctl.engine.events import Event
from labctl.engine.prove import LabProof, Outcome, ProveReport, forget_green, prove
from labctl.errors import UsageError
from labctl.lab.load import find_lab

LAB = """\
name: {name}
title: {{en: One machine, ja: 1台のマシン}}
nodes:
  pc1: {{role: host, uplink: true}}
"""  # `prove` starts no machine that would reach the internet


@pytest.fixture(autouse=True)
def _no_instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def quiet(_: Event) -> None:
    pass


def write_lab(directory: Path, name: str) -> Path:
    directory.mkdir(parents=True)
    (directory / "lab.yaml").write_text(LAB.format(name=name))
    return directory / "lab.yaml"


def not_run(*files: Path) -> tuple[LabProof, ...]:
    return prove(files, budget_s=-1, artifacts=None, report=quiet).labs


def test_a_lab_is_called_what_its_file_says_wherever_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lab(tmp_path / "here", "tiny")
    monkeypatch.chdir(tmp_path / "here")
    assert [lab.lab for lab in not_run(find_lab("."))] == ["tiny"]


def test_a_proven_lab_takes_only_its_own_artifacts_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lab(tmp_path / "here", "tiny")
    monkeypatch.chdir(tmp_path / "here")
    for kept in ("tiny", "another"):
        (tmp_path / "artifacts" / kept).mkdir(parents=True)
    proven = tuple(replace(lab, outcome=Outcome.PROVEN) for lab in not_run(find_lab(".")))
    forget_green(ProveReport(proven, 1.0), tmp_path / "artifacts")
    assert [left.name for left in (tmp_path / "artifacts").iterdir()] == ["another"]


def test_a_directory_whose_name_no_instance_can_have_is_none_the_worse(tmp_path: Path) -> None:
    (lab,) = prove([write_lab(tmp_path / "lab_1", "tiny")], budget_s=None, artifacts=tmp_path / "red", report=quiet).labs
    assert (lab.lab, lab.outcome) == ("tiny", Outcome.RED)
    assert "pc1 would reach the internet" in lab.error


def test_two_labs_of_one_name_are_refused_before_either_is_begun(tmp_path: Path) -> None:
    files = write_lab(tmp_path / "one" / "lab", "tiny"), write_lab(tmp_path / "two" / "lab", "tiny")
    with pytest.raises(UsageError, match="two labs are called tiny") as refused:
        prove(files, budget_s=None, artifacts=None, report=quiet)
    assert all(str(file) in refused.value.why for file in files)


def test_labs_in_directories_of_one_name_are_told_apart(tmp_path: Path) -> None:
    files = write_lab(tmp_path / "one" / "lab", "tiny"), write_lab(tmp_path / "two" / "lab", "other")
    assert [lab.lab for lab in not_run(*files)] == ["tiny", "other"]


def test_a_lab_that_cannot_be_loaded_is_red_under_its_directorys_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lab(tmp_path / "broken", "NO NAME")
    monkeypatch.chdir(tmp_path / "broken")
    (lab,) = prove([find_lab(".")], budget_s=None, artifacts=None, report=quiet).labs
    assert (lab.lab, lab.outcome) == ("broken", Outcome.RED)
    assert "lab.yaml" in lab.error

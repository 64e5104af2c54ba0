"""A new lab validates as it is written, alone or like another."""

from pathlib import Path

import pytest

from labctl.errors import LoadError, UsageError
from labctl.lab.load import load_lab, shipped_labs
from labctl.lab.starter import new_lab_text, write_new_lab
from tests.unit.lab.conftest import MakeLab


def test_a_new_lab_has_two_hosts_a_switch_and_a_check_with_its_sabotage(tmp_path: Path) -> None:
    file = write_new_lab(tmp_path / "mine", "mine")
    lab = load_lab(file)
    assert lab.name == "mine"
    assert [node.role.name for node in lab.nodes] == ["host", "host", "l2-switch"]
    assert len(lab.checks) == 1
    assert lab.checks[0].sabotage
    assert "labctl up" in (tmp_path / "mine" / "guide.md").read_text()
    assert "labctl up" in (tmp_path / "mine" / "guide.ja.md").read_text()


@pytest.mark.parametrize("guide", ["guide.md", "guide.ja.md"])
def test_the_guides_of_a_new_lab_say_ssh_with_a_node_alone(tmp_path: Path, guide: str) -> None:
    write_new_lab(tmp_path / "mine", "mine")
    lines = (tmp_path / "mine" / guide).read_text().splitlines()
    assert [line.split() for line in lines if "labctl ssh" in line] == [["labctl", "ssh", "pc1"], ["labctl", "ssh", "sw1"]]


def test_a_new_lab_may_be_like_a_shipped_one(tmp_path: Path) -> None:
    for like in shipped_labs():
        old = load_lab(like)
        lab = load_lab(write_new_lab(tmp_path / f"my-{old.name}", "mine", like))
        assert lab.name == "mine"
        assert [node.name for node in lab.nodes] == [node.name for node in old.nodes]
        assert lab.checks == old.checks


def test_a_lab_like_another_has_its_roles_and_its_guides_speak_of_the_new_name(
    make_lab: MakeLab, tmp_path_factory: pytest.TempPathFactory
) -> None:
    like = make_lab("nodes: {pc1: repeater}\n")
    (like.parent / "guide.md").write_text("labctl up small\nlabctl up small-2\nsmall is beautiful\n")
    file = write_new_lab(tmp_path_factory.mktemp("new") / "big", "big", like)
    assert load_lab(file).node("pc1").role.name == "repeater"
    assert (file.parent / "guide.md").read_text() == "labctl up big\nlabctl up small-2\nsmall is beautiful\n"


def test_a_guide_in_another_encoding_is_taken_over_byte_for_byte(make_lab: MakeLab, tmp_path_factory: pytest.TempPathFactory) -> None:
    like = make_lab("nodes: {pc1: host}\n")
    (like.parent / "guide.ja.md").write_bytes("はじめ\nlabctl up small\n".encode("shift-jis"))
    file = write_new_lab(tmp_path_factory.mktemp("new") / "big", "big", like)
    assert (file.parent / "guide.ja.md").read_bytes() == "はじめ\nlabctl up big\n".encode("shift-jis")


def test_only_the_name_of_the_pattern_is_changed(make_lab: MakeLab) -> None:
    like = make_lab("nodes: {pc1: host}   # small\n")
    assert new_lab_text("big", like) == like.read_text().replace("name: small", "name: big")


@pytest.mark.parametrize("name", ["", "Big", "../x", "a b", "x" * 21, "a/b"])
def test_a_new_lab_needs_a_name_that_is_one(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        write_new_lab(tmp_path / "x", name)
    assert not (tmp_path / "x").exists()


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("x")
    with pytest.raises(UsageError, match="is there already"):
        write_new_lab(tmp_path, "mine")
    assert [file.name for file in tmp_path.iterdir()] == ["kept"]


def test_a_place_where_no_directory_can_be_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="can be made"):
        write_new_lab(tmp_path / "file" / "mine", "mine")


def test_a_new_lab_cannot_lie_inside_its_pattern(make_lab: MakeLab) -> None:
    like = make_lab("nodes: {pc1: host}\n")
    with pytest.raises(UsageError, match="inside"):
        write_new_lab(like.parent / "a" / "b", "mine", like)


def test_a_pattern_that_is_wrong_is_told(make_lab: MakeLab, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(LoadError):
        write_new_lab(tmp_path_factory.mktemp("new") / "x", "mine", make_lab("nodes: {pc1: hosst}\n"))

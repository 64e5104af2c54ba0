"""Which instance and which nodes are meant, on real records in a directory of their own; completion reads the same records."""

from contextlib import chdir
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from labctl.cli import complete
from labctl.cli.choice import choose, choose_nodes
from labctl.engine.graph import Form
from labctl.engine.instances import InstanceRecord, NodeRecord, PortRecord, make_directory, write_record
from labctl.errors import UsageError


def make(name: str, lab: str, *nodes: str, file: Path | None = None) -> None:
    directory = make_directory(name)
    listed = tuple(
        NodeRecord(node, index, "host", 256, 1, f"uuid-{index}", "169.254.0.2", (PortRecord("eth1", f"t{index}", "52:54:00:00:00:01"),), "")
        for index, node in enumerate(nodes)
    )
    write_record(
        InstanceRecord(name, lab, str(file or f"/{lab}/lab.yaml"), "default", "digest", directory, "/s", 0.0, "tcg", 4.0, nodes=listed)
    )


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def test_the_only_instance_needs_no_name() -> None:
    make("l2-switch", "l2-switch", "pc1", "pc2")
    record, nodes = choose_nodes(["pc2", "pc1,pc2"], None)
    assert (record.id, nodes) == ("l2-switch", ("pc2", "pc1"))


def test_a_first_word_that_names_a_lab_chooses_it() -> None:
    make("l2-switch", "l2-switch", "pc1")
    make("other", "static-routing", "h1", "r1")
    assert choose_nodes(["other"], None)[1] == ()
    record, nodes = choose_nodes(["static-routing", "r1"], None)
    assert (record.id, nodes) == ("other", ("r1",))


@pytest.mark.parametrize("words", [[""], [","], [" "], ["", ""], ["l2-switch", ""], ["l2-switch", ","]])
def test_an_empty_word_for_nodes_never_means_all_of_them(words: list[str]) -> None:
    make("l2-switch", "l2-switch", "pc1", "pc2")
    with pytest.raises(UsageError, match="no node is named") as refused:
        choose_nodes(words, None)
    assert refused.value.hint == "nodes: pc1, pc2"
    with pytest.raises(UsageError, match="no node is named"):
        choose_nodes(words[-1:], "l2-switch")


@pytest.mark.parametrize("word", [".", "./", "../mine", "../mine/lab.yaml", "lab.yaml", "../link"])
def test_a_lab_may_be_named_by_any_path_to_it(word: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "lab.yaml").touch()
    (tmp_path / "link").symlink_to("mine")
    make("x", "x", "pc1", file=tmp_path / "link" / ".." / "mine" / "lab.yaml")
    make("second", "y", "pc1")
    with chdir(tmp_path / "mine"):
        assert choose([word, "a-check"], None)[1] == ("a-check",)
        record, nodes = choose_nodes([word, "pc1"], None)
    assert (record.id, nodes) == ("x", ("pc1",))


def test_a_directory_that_is_a_lab_and_a_node_is_refused(tmp_path: Path) -> None:
    make("x", "x", "pc1", file=tmp_path / "pc1" / "lab.yaml")
    with chdir(tmp_path), pytest.raises(UsageError, match="'pc1' is a lab and a node of it"):
        choose_nodes(["pc1"], None)


@pytest.mark.parametrize("word", ["loop", "x" * 5000, "\udcff"])
def test_a_word_that_can_be_no_path_is_a_check(word: str, tmp_path: Path) -> None:
    make("l2-switch", "l2-switch", "pc1")
    (tmp_path / "loop").symlink_to("loop")
    with chdir(tmp_path):
        assert choose([word], None)[1] == (word,)


def test_a_path_of_no_running_lab_is_no_node_and_no_check(tmp_path: Path) -> None:
    make("l2-switch", "l2-switch", "pc1")
    with chdir(tmp_path), pytest.raises(UsageError, match=r"no instance '\.'") as refused:
        choose(["."], None)
    assert refused.value.hint == "labctl up ."


def test_with_instance_given_every_word_is_a_node() -> None:
    make("web", "web", "web", "pc1")
    assert choose_nodes(["web"], "web")[1] == ("web",)


def test_a_word_that_is_a_lab_and_a_node_is_refused() -> None:
    make("web", "web", "web", "pc1")
    with pytest.raises(UsageError, match="'web' is a lab and a node of it"):
        choose_nodes(["web"], None)


def test_several_instances_ask_for_a_choice() -> None:
    make("l2-switch", "l2-switch", "pc1")
    make("second", "l2-switch", "pc1")
    with pytest.raises(UsageError, match="which lab is meant with 'pc1'"):
        choose_nodes(["pc1"], None)
    with pytest.raises(UsageError, match="several instances fit"):
        choose_nodes([], None)


def test_an_unknown_node_is_named_with_those_there_are() -> None:
    make("l2-switch", "l2-switch", "pc1", "pc2")
    with pytest.raises(UsageError, match="no node 'pc9'") as refused:
        choose_nodes(["pc9"], None)
    assert refused.value.hint == "nodes: pc1, pc2"


def test_checks_are_left_as_they_are() -> None:
    make("l2-switch", "l2-switch", "pc1")
    assert choose(["l2-switch", "table-is-learnt"], None)[1] == ("table-is-learnt",)


def context(**params: Any) -> Any:
    return SimpleNamespace(params=params, args=[])


def test_completion_knows_instances_nodes_and_interfaces() -> None:
    make("l2-switch", "l2-switch", "pc1", "pc2")
    make("second", "l2-switch", "pc1", "sw1")
    assert sorted(complete.instances("")) == ["l2-switch", "second"]
    assert complete.nodes(context(instance="second"), "") == ["pc1", "sw1"]
    assert sorted(complete.nodes(context(), "pc1,p")) == ["pc1,pc1", "pc1,pc2"]
    assert complete.ends(context(instance="l2-switch"), "pc2") == ["pc2:eth1"]
    assert complete.places(context(instance="l2-switch"), "pc") == ["pc1:", "pc2:"]


def test_completion_knows_shipped_labs() -> None:
    assert "l2-switch" in complete.labs("l2")


def test_completion_knows_the_variants_of_a_shipped_lab_without_parsing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "name: x\n\nvariants:                # a remark\n  wide:\n    r1: {a: 1}\n  # no\n  narrow: {}\n\nchecks:\n  - id: y\n"
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "lab.yaml").write_text(text)
    monkeypatch.setattr("labctl.lab.data.LABS", tmp_path)
    assert complete.variants(context(lab="x"), "") == ["default", "wide", "narrow"]
    assert complete.variants(context(lab="gone"), "") == ["default"]


def test_completion_knows_every_form_of_a_picture() -> None:
    assert tuple(Form) == complete.FORMS

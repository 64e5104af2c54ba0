"""Pictures of labs: golden texts for each form, and what must hold of any picture."""

import re
from pathlib import Path

import pytest

from labctl.lab.dot import marker_of, put_symbols, render_dot
from labctl.lab.drawing import loose_ports, plan_layout, render_mermaid, render_terminal
from labctl.lab.load import load_lab
from labctl.lab.picture import Now, setting_words
from labctl.lab.roles import RoleFile
from labctl.lab.symbols import OF_ROLES, SYMBOLS, symbol_name
from tests.unit.conftest import Golden

CASES = Path(__file__).parent.parent / "golden" / "drawing"
NAMES = ("star", "chain", "ring")


@pytest.mark.parametrize("name", NAMES)
def test_a_lab_is_drawn_for_the_terminal(name: str, golden: Golden) -> None:
    golden(CASES / f"{name}.txt", render_terminal(load_lab(CASES / f"{name}.yaml"), "ja"))


@pytest.mark.parametrize("name", NAMES)
def test_a_lab_is_drawn_for_mermaid(name: str, golden: Golden) -> None:
    golden(CASES / f"{name}.mmd", render_mermaid(load_lab(CASES / f"{name}.yaml")))


@pytest.mark.parametrize("name", NAMES)
def test_a_lab_is_drawn_for_graphviz(name: str, golden: Golden) -> None:
    golden(CASES / f"{name}.dot", render_dot(load_lab(CASES / f"{name}.yaml"), "ja"))


@pytest.mark.parametrize("name", NAMES)
def test_every_cable_is_told_once_and_every_node_is_reached(name: str) -> None:
    lab = load_lab(CASES / f"{name}.yaml")
    layout = plan_layout(lab)
    assert sorted(branch.link.name for branch in layout.branches) == sorted(link.name for link in lab.links)
    assert {node.name for node in layout.starts} | {branch.far.name for branch in layout.branches} == {node.name for node in lab.nodes}


def test_a_cable_that_closes_a_ring_runs_sideways() -> None:
    layout = plan_layout(load_lab(CASES / "ring.yaml"))
    assert [branch.link.name for branch in layout.branches if branch.sideways] == ["sw1:port1--sw2:port1"]


def test_only_nodes_in_one_row_are_a_chain() -> None:
    assert {name: plan_layout(load_lab(CASES / f"{name}.yaml")).chain for name in NAMES} == {"star": False, "chain": True, "ring": False}


def test_each_kind_of_role_has_a_symbol_and_a_marker_of_its_own() -> None:
    kinds = RoleFile.model_json_schema()["properties"]["kind"]["enum"]
    assert set(kinds) == set(SYMBOLS) - set(OF_ROLES)
    markers = {marker_of(name, pale=pale) for name in SYMBOLS for pale in (False, True)}
    assert len(markers) == 2 * len(SYMBOLS)
    assert "#ffffff" not in markers


def test_a_setting_that_no_plan_shows_stays_to_be_found() -> None:
    lab = load_lab(CASES / "running.yaml")
    assert lab.node("sw1").interface("port2").settings["learning"] is False
    assert "learning" not in render_terminal(lab) + render_dot(lab)


@pytest.mark.parametrize(
    ("free", "words"),
    [
        (["port9"], "port9 (free)"),
        (["port4", "port6", "port8"], "port4, port6, port8 (free)"),
        (["port4", "port5", "port6"], "port4 … port6 (free)"),
    ],
)
def test_free_ports_are_told_together(free: list[str], words: str, tmp_path: Path) -> None:
    cabled = [f"port{number}" for number in range(1, 8) if f"port{number}" not in free]
    lines = ["name: a", "title: a", f"nodes: {{sw1: {{role: l2-switch, ports: [{', '.join(free)}]}}, pc1: host}}", "links:"]
    (tmp_path / "lab.yaml").write_text("\n".join([*lines, *(f"  - sw1:{port} -- pc1:eth{port[-1]}" for port in cabled)]) + "\n")
    lab = load_lab(tmp_path / "lab.yaml")
    assert loose_ports(lab, lab.node("sw1"), "en") == (words,)


def test_a_role_may_have_a_symbol_that_its_kind_has_not() -> None:
    assert symbol_name("l3-switch", "switch") == "l3-switch"
    assert symbol_name("l2-switch", "switch") == "switch"


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_running_lab_shows_what_is_off_cut_set_and_worse(language: str, golden: Golden) -> None:
    lab = load_lab(CASES / "running.yaml")
    now = Now(frozenset({"pc3"}), frozenset({lab.end("pc2:eth1")}))
    golden(CASES / f"running.{language}.txt", render_terminal(lab, language, now))
    golden(CASES / f"running.{language}.mmd", render_mermaid(lab, language, now))
    golden(CASES / f"running.{language}.dot", render_dot(lab, language, now))


def test_a_marked_field_becomes_the_symbol_of_its_kind() -> None:
    field = f'<polygon fill="{marker_of("router")}" stroke="none" points="40,-20 40,-60 96,-60 96,-20 40,-20"/>'
    placed = put_symbols(f"<svg>{field}</svg>")
    assert placed == f'<svg><g transform="translate(40,-60)">{SYMBOLS["router"]}</g></svg>'


def test_a_title_cannot_leave_its_place_in_the_picture() -> None:
    lab = load_lab(CASES / "chain.yaml")
    assert "<B>Routers &amp; &quot;ways&quot;</B>" in render_dot(lab, "en")
    assert re.search(r'^title: "Routers & #quot;ways#quot;"$', render_mermaid(lab, "en"), re.MULTILINE)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("vlan", 10, "vlan 10"),
        ("trunk", [10, 20], "trunk 10,20"),
        ("isolated", True, "isolated"),
        ("learning", False, "no learning"),
        ("ospf", {"cost": 10, "passive": True, "auth": None}, "ospf cost 10 passive"),
        ("trunk", [], ""),
        ("vlan", None, ""),
    ],
)
def test_a_setting_is_said_in_the_fewest_words(key: str, value: object, words: str) -> None:
    assert setting_words(key, value) == words

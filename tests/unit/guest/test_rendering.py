"""Templates of strangers: what they may name, and that nothing they do gets further than one LoadError."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.errors import LoadError
from labctl.guest.rendering import context_of, render_lab
from labctl.host.run import run
from labctl.lab.topology import Lab
from tests.unit.guest.conftest import LoadText

ROLE = """\
title: {en: A role of the lab's own}
kind: host
settings: {wanted: {type: string, description: a word, default: ""}}
templates: [{path: /etc/word, template: word.j2, mode: "0640"}]
"""


MakeLab = Callable[..., Lab]
TWO_NODES = """\
nodes: {a: {role: mine, wanted: yes}, b: mine}
links: ['a:eth1 -- b:eth1']
addresses: {a: {eth1: 10.0.0.1/24}}
"""


@pytest.fixture
def with_template(tmp_path: Path, load_text: LoadText) -> MakeLab:
    """A lab of two nodes whose role has one template, the given text, and `more` in its role.yaml."""

    def make(template: str, more: str = "") -> Lab:
        role = tmp_path / "roles" / "mine"
        role.mkdir(parents=True)
        (role / "role.yaml").write_text(ROLE + more)
        (role / "word.j2").write_text(template)
        return load_text(TWO_NODES)

    return make


def only_fault(lab: Lab) -> tuple[str, int, str, str]:
    with pytest.raises(LoadError) as caught:
        render_lab(lab, run)
    (fault,) = caught.value.faults
    return Path(fault.file).name, fault.line, fault.what, fault.why


def test_a_template_sees_its_node_its_settings_its_ports_and_the_lab(with_template: MakeLab) -> None:
    lab = with_template("{{ node.name }} {{ settings.wanted }} {{ ports[0].peer }} {{ ports[0].addresses }} {{ lab.nodes | length }}\n")
    files = {name: node.files[0] for name, node in render_lab(lab, run).items()}
    assert files["a"].content == "a yes b:eth1 ['10.0.0.1/24'] 2\n"
    assert files["b"].content == "b  a:eth1 [] 2\n"
    assert (files["a"].path, files["a"].mode) == ("/etc/word", 0o640)


def test_only_the_nodes_that_are_asked_for_are_rendered(with_template: MakeLab) -> None:
    lab = with_template("{{ node.name }}")
    assert list(render_lab(lab, run, [lab.node("b")])) == ["b"]


def test_an_undefined_name_is_told_with_file_and_line(with_template: MakeLab) -> None:
    file, line, what, why = only_fault(with_template("first\n{{ node.nmae }}\n"))
    assert (file, line) == ("word.j2", 2)
    assert "nmae" in what
    assert "must not read what is not there" in why


def test_a_template_refuses_settings_that_do_not_fit_together(with_template: MakeLab) -> None:
    file, line, what, why = only_fault(with_template("first\n{{ refuse('no segment `dmz`; known are inside, outside') }}\n"))
    assert (file, line, what) == ("word.j2", 2, "no segment `dmz`; known are inside, outside")
    assert why == "the role can make nothing of these settings"


@pytest.mark.parametrize(
    "template",
    [
        "\n{{ ''.__class__.__mro__ }}",
        "\n{{ node.__class__ }}",
        "\n{{ lab.nodes.append }}{{ lab.nodes.append(1) }}",
        "\n{{ render.__globals__ if render is defined else settings.__init__.__globals__ }}",
        "\n{{ refuse.__globals__ }}",
        "\n{{ 2 ** 3 }}",
    ],
)
def test_pythons_internals_are_refused(with_template: MakeLab, template: str) -> None:
    file, line, _, why = only_fault(with_template(template))
    assert (file, line) == ("word.j2", 2)
    assert "sandbox" in why


def test_an_endless_loop_ends_after_five_seconds_and_is_told_with_its_line(with_template: MakeLab) -> None:
    endless = "\n\n{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}"
    begun = time.monotonic()
    file, line, what, why = only_fault(with_template(endless))
    assert (file, line) == ("word.j2", 3)
    assert what == "rendering takes too long"
    assert "5 s" in why
    assert time.monotonic() - begun < 60


@pytest.mark.parametrize(
    ("template", "line", "what"),
    [
        ("\n{{ 'x' * 300000000 }}", 2, "`*` would make"),
        ("\n{{ '%300000000d' % 1 }}", 2, "too much memory"),
        ("\n{% for a in range(99999) %}{{ 'x' * 100 }}{% endfor %}", 0, "longer than 1,048,576"),
        ("\n{% for a in range(10000000) %}x{% endfor %}", 2, "Range too big"),
    ],
)
def test_a_text_of_300_mb_is_refused(with_template: MakeLab, template: str, line: int, what: str) -> None:
    file, where, told, _ = only_fault(with_template(template))
    assert (file, where) == ("word.j2", line)
    assert what in told


def test_a_template_includes_nothing_of_the_host(with_template: MakeLab) -> None:
    file, line, what, why = only_fault(with_template("\n{% include '/etc/passwd' %}"))
    assert (file, line) == ("word.j2", 2)
    assert "/etc/passwd" in what
    assert "_shared only" in why


def test_a_mistake_of_syntax_is_told_with_its_line(with_template: MakeLab) -> None:
    file, line, _, why = only_fault(with_template("\n\n{% if %}"))
    assert (file, line, why) == ("word.j2", 3, "not Jinja2")


def test_faults_of_several_templates_come_in_one_run(with_template: MakeLab) -> None:
    lab = with_template("{{ first_word }}", "ready: echo {{ second_word }}\n")
    with pytest.raises(LoadError) as caught:
        render_lab(lab, run)
    assert {fault.what for fault in caught.value.faults} == {"'first_word' is undefined", "line 1: 'second_word' is undefined"}


def test_a_file_of_the_lab_is_rendered_if_it_is_a_template(load_text: LoadText) -> None:
    files = "{/etc/motd: {content: 'I am {{ node.name }}', template: true, mode: '0600'}, /etc/plain: '{{ as it is }}'}"
    lab = load_text(f"nodes: {{a: {{role: host, files: {files}}}}}\n")
    rendered = {file.path: file for file in render_lab(lab, run)["a"].files}
    assert rendered["/etc/motd"].content == "I am a"
    assert rendered["/etc/motd"].mode == 0o600
    assert "/etc/plain" not in rendered  # part of the node's image


def test_a_fault_in_a_file_of_the_lab_names_file_node_and_line(load_text: LoadText) -> None:
    lab = load_text('nodes: {a: {role: host, files: {/etc/motd: {content: "one\\n{{ two }}", template: true}}}}\n')
    with pytest.raises(LoadError) as caught:
        render_lab(lab, run)
    (fault,) = caught.value.faults
    assert fault.file.endswith("lab.yaml (/etc/motd of a)")
    assert fault.what == "line 2: 'two' is undefined"


def test_gateway_and_routes_are_those_of_the_interface_they_leave_by(load_text: LoadText) -> None:
    lab = load_text(
        "nodes: {a: {role: host, gateway: 10.0.2.1, routes: [{to: 10.9.0.0/16, via: 10.0.1.9}], ports: [eth1, eth2]}}\n"
        "addresses: {a: {lo: 10.0.2.200/32, eth1: 10.0.1.2/24, eth2: 10.0.2.2/24}}\n"
    )
    (node,) = context_of(lab)["nodes"]
    leaves = {port["name"]: (port["gateway"], [route["to"] for route in port["routes"]]) for port in node["interfaces"]}
    assert leaves["eth1"] == ("", ["10.9.0.0/16"])
    assert leaves["eth2"] == ("10.0.2.1", [])
    assert leaves["lo"] == ("", [])

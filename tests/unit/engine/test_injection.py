"""Whatever a stranger writes into any text of a lab file: refused, or only text, wherever the host reads it.

The texts are those of a shipped lab with all kinds of keys, one after the other replaced by what means something to XML, shells, ssh,
Graphviz, Jinja2, terminals or the file system.
"""

import json
import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from labctl.check.frames import tshark_argv
from labctl.check.junit import Case, Suite, render_junit
from labctl.engine.instances import check_name
from labctl.engine.keys import ssh_config
from labctl.engine.links import nic_at
from labctl.engine.nodes import management_nic, node_record
from labctl.errors import LoadError, UsageError
from labctl.host.domain_xml import DomainSpec, render_domain
from labctl.host.images import LayerFiles
from labctl.lab.data import TEMPLATES
from labctl.lab.dot import render_dot
from labctl.lab.drawing import render_mermaid, render_terminal
from labctl.lab.load import load_lab, shipped_labs
from labctl.lab.model import OutputSeen, RunSeen, WireSeen
from labctl.lab.topology import Lab
from tests.unit.engine.test_instances import made

NASTY = st.sampled_from(
    [
        "</name><x/>", "<![CDATA[", "&lt;", "\"'/><qemu:arg value='-x'/>", "]]>", "$(touch /tmp/owned)", "`id`", "; id #", "| id", "&& id",
        "\n id", "a\nHost *\n  ProxyCommand id", "%h%d", "-oProxyCommand=id", "--help", "-r/etc/passwd", "../../../etc/passwd",
        "/etc/passwd", "~/.ssh/id", "~root", "..", ".", "", " ", "\x00", "\x1b[2J", "\u202egnp", "\ud800", "{{ 7 * 7 }}",
        "{% include '/etc/passwd' %}", "${HOME}", "a" * 5000, "label=<<img src=\"/etc/passwd\"/>>", "\"]; image=\"/etc/passwd\"; [",
        "end\nclick A href \"javascript:x\"", "日本語", "con", "a:b:c", "pc1:eth1 -- ../x:y", "nbd://example.net/x", "json:{}",
        "file,share=on", "*", "!!python/object:os.system", "&a", "*a",
    ]
)  # fmt: skip
QUIET = settings(
    deadline=None,
    max_examples=600,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
ORIGINAL = next(file for file in shipped_labs() if file.parent.name == "l2-switch")


def core(value: Any) -> Any:
    """YAML as labctl reads it, near enough: numbers and truth values, all else text."""
    if isinstance(value, dict):
        return {key: core(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [core(inner) for inner in value]
    if value in ("true", "false"):
        return value == "true"
    return int(value) if re.fullmatch(r"0|[1-9][0-9]{0,8}", value) else value


DATA = core(yaml.load(ORIGINAL.read_text(), yaml.BaseLoader))  # noqa: S506 - it knows texts only
DATA["nodes"]["pc1"] |= {"packages": ["jq"], "run": ["true"], "files": {"/etc/motd": {"content": "hello"}}}
DATA["nodes"]["sw1"]["learning"] = True
WORDS = {"Host", "User", "HostKeyAlias", "IdentityFile", "IdentitiesOnly", "UserKnownHostsFile", "GlobalKnownHostsFile"}
WORDS |= {"StrictHostKeyChecking", "LogLevel", "KexAlgorithms", "ProxyCommand"}
LAYER = LayerFiles("d" * 64, "r" * 64, (Path("/images/d/disk.qcow2"),), Path("/images/k"), Path("/images/i"), "root=/dev/vda", 1)


def places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a text stands, keys included (a key's place ends with None)."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*here, key, None)
            yield from places(inner, (*here, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from places(inner, (*here, number))
    else:
        yield here


PLACES = list(places(DATA))


def changed(place: tuple[Any, ...], text: str) -> Any:
    data = json.loads(json.dumps(DATA))
    *way, last = place[:-1] if place[-1] is None else place
    here = data
    for step in way:
        here = here[step]
    if place[-1] is None:
        here[text] = here.pop(last)
    else:
        here[last] = text
    return data


def test_what_is_changed_is_a_lab_before(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text(json.dumps(DATA))
    hold(load_lab(tmp_path / "lab.yaml"), tmp_path)
    assert len(PLACES) > 200


FIELD = next(place for place in PLACES if len(place) > 2 and place[-1] is None and place[-3] == "values")


@QUIET
@example(place=FIELD, text="--help", mixed=False)  # it was taken for a field of tshark
@given(place=st.sampled_from(PLACES), text=st.one_of(NASTY, st.text(max_size=20)), mixed=st.booleans())
def test_any_text_in_any_place_is_refused_or_stays_text(tmp_path: Path, place: tuple[Any, ...], text: str, mixed: bool) -> None:
    word = f"pc1{text}" if mixed else text
    file = tmp_path / "lab.yaml"
    file.write_bytes(json.dumps(changed(place, word)).encode())
    try:
        lab = load_lab(file)
    except (LoadError, UsageError):
        return
    hold(lab, tmp_path)


def hold(lab: Lab, place: Path) -> None:
    """All that must be so of a lab that was accepted."""
    check_name(lab.name)
    nodes = tuple(node_record(lab, node, LAYER, lab.name) for node in lab.nodes)
    record = replace(made_once(), nodes=nodes, lab=lab.name, cables=tuple((str(link.a), str(link.b)) for link in lab.links), cut=())
    for node in nodes:
        assert re.fullmatch(r"[a-z][a-z0-9-]{0,19}", node.name), "it becomes a file's name"
        assert all(re.fullmatch(r"[a-z0-9]{1,15}", port.tap) for port in node.ports)
        nics = (management_nic(node.index), *(nic_at(record, f"{node.name}:{port.name}") for port in node.ports))
        domain = ET.fromstring(render_domain(replace(SPEC, name=node.name, uuid=node.uuid, nics=nics), TEMPLATES))
        assert [tag.tag for tag in domain.iter() if tag.tag.endswith("arg") or tag.tag == "x"] == []
        assert len(domain.findall("./devices/interface")) == len(nics)
        assert domain.findtext("name") == node.name
    config = ssh_config(record).splitlines()
    assert len([line for line in config if line.startswith("Host ")]) == len(nodes)
    assert {line.split()[0] for line in config if line.strip()} <= WORDS
    for node_of_lab in lab.nodes:
        for wanted in node_of_lab.files:
            assert PurePosixPath(wanted.path).is_absolute()
            assert ".." not in PurePosixPath(wanted.path).parts
        for package in node_of_lab.packages:
            assert re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", package), "an argument of apt"
    for check in lab.checks:
        for seen in check.see:
            if isinstance(seen, WireSeen):
                argv = tshark_argv(Path("/x.pcap"), seen.filter, tuple(seen.values or {}))
                assert argv[argv.index("-Y") + 1] == seen.filter if seen.filter else True
                assert not [word for word in (seen.values or {}) if word.startswith("-")]
            assert not isinstance(seen, RunSeen | OutputSeen) or (seen.matches or "") == (seen.matches or "")
    texts = "\n".join(f"{check.says.en}{check.says.ja}{check.id}" for check in lab.checks) + lab.title.en + lab.title.ja
    ET.fromstring(render_junit([Suite(lab.name, (Case("x", "failed", texts),))]))
    draw(lab)
    assert not Path("/tmp/owned").exists()


def made_once() -> Any:
    return RECORDS.setdefault("one", made("l2-switch"))


RECORDS: dict[str, Any] = {}
SPEC = DomainSpec(
    name="", uuid="", accelerator="tcg", memory_mib=256, cpus=1, kernel=Path("/k"), initrd=Path("/i"), cmdline="x", disk=Path("/d"),
    disk_chain=(), nics=(), console=Path("/c"), worker=Path("/r"), serial_log=Path("/s"),
)  # fmt: skip


def draw(lab: Lab) -> None:
    """Drawings hold as many nodes as the lab, and name no file."""
    for language in ("en", "ja"):
        dot = render_dot(lab, language, symbols=False)
        assert not re.search(r"(?i)<img", dot)
        render_terminal(lab, language)
        mermaid = render_mermaid(lab, language)
        assert not [line for line in mermaid.splitlines() if line.strip().startswith(("click", "%%{"))]


@pytest.mark.parametrize("text", ['"]; image="/etc/passwd"; [', '<img src="/etc/passwd"/>', "\\", '\\"', "</TD>", "\n}", "a\\l\\N\\G"])
def test_graphviz_draws_a_text_and_nothing_else(tmp_path: Path, text: str) -> None:
    data = json.loads(json.dumps(DATA))
    data["title"] = {"en": text, "ja": text}
    (tmp_path / "lab.yaml").write_text(json.dumps(data))
    lab = load_lab(tmp_path / "lab.yaml")
    drawn = subprocess.run(("dot", "-Tjson"), input=render_dot(lab, symbols=False).encode(), capture_output=True, check=True)
    assert b"Error" not in drawn.stderr
    nodes = [entry for entry in json.loads(drawn.stdout)["objects"] if "nodes" not in entry and "subgraphs" not in entry]
    assert len(nodes) == len(lab.nodes)
    assert not [entry for entry in nodes if "image" in entry]

"""`prove`, as a CI runner calls it: on after a failure, evidence of what is red, nothing of what is green."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.e2e.conftest import Labctl

pytestmark = pytest.mark.e2e
LAB = """\
name: {name}
title: Two hosts
nodes:
  pc1..pc2: host
links:
  - pc1:eth1 -- pc2:eth1
checks:
  - id: has-a-name
    says: the host knows its name
    see: {{node: pc1, run: hostname, equals: {expected}}}
    sabotage: {{do: {{pc1: hostname other}}, undo: {{pc1: hostname pc1}}}}
"""


def test_a_red_lab_leaves_evidence_and_the_run_goes_on(labctl: Labctl, tmp_path: Path) -> None:
    for name, expected in (("red", "somebody"), ("green", "pc1")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lab.yaml").write_text(LAB.format(name=name, expected=expected))
    junit, artifacts = tmp_path / "report.xml", tmp_path / "artifacts"
    words = ("prove", str(tmp_path / "red"), str(tmp_path / "green"), "--junit", str(junit), "--artifacts", str(artifacts))
    labctl(*words, status=1)
    root = ET.parse(junit).getroot()
    failed = [case.get("name") for case in root.iter("testcase") if case.find("failure") is not None]
    assert "has-a-name" in failed
    assert any("green" in (suite.get("name") or "") for suite in root)
    kept = {file.name for file in (artifacts / "red").rglob("*") if file.is_file()}
    assert {"journal.jsonl", "instance.json", "serial-pc1.log", "agent-pc1.jsonl", "wires.pcapng"} <= kept
    assert not (artifacts / "green").exists()
    assert not list(labctl.instances.glob("*/")), "every lab is down again"


def test_a_host_that_is_not_able_is_no_failed_lesson(labctl: Labctl, tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "lab.yaml").write_text("name: huge\ntitle: Too much\nnodes: {pc1: {role: host, memory: 64GiB}}\n")
    labctl("prove", str(tmp_path / "lab"), status=4)

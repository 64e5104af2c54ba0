"""A scenario on real machines: its faults happen at their time, its probes see them, its lab is put back, and a check on it is proven."""

import json
from pathlib import Path

import pytest

from tests.e2e.conftest import Labctl

pytestmark = pytest.mark.e2e
LAB = """\
name: faults
title: A host, a web server, and what befalls them
nodes: {pc1: host, web1: web}
links: [pc1:eth1 -- web1:eth1]
addresses: {pc1: {eth1: 10.0.0.1/24}, web1: {eth1: 10.0.0.2/24}}
scenarios:
  two-faults:
    says: a pulled cable, then silence one way, then no web server
    probes:
      echo: {ping: pc1 -> 10.0.0.2, every: 100ms}
      page: {http: pc1 -> web1, every: 300ms}
    timeline:
      - 3s cut web1:eth1
      - 5s restore web1:eth1
      - 9s impair pc1:eth1 loss=100% one_way
      - 11s clear pc1:eth1
      - 14s stop web1 nginx
      - 18s end
    after: {web1: systemctl start nginx}
checks:
  - id: faults-are-seen
    says: what befalls the link and the server is seen by the probes
    scenario: two-faults
    see:
      - {probe: longest_gap, of: echo, at_least: 1s, at_most: 4s}
      - {probe: loss, of: echo, during: 0s..3s, at_most: 0%}
      - {probe: loss, of: page, during: 15s..17s, at_least: 100%}
      - {probe: answers, of: page, during: 0s..3s, at_least: 3, witness: true}
      - {reach: pc1 -> 10.0.0.2, by: ping, during: 13s..18s}
    sabotage:
      - says: no echo request leaves pc1
        do:
          pc1: |
            nft add table ip quiet
            nft 'add chain ip quiet out { type filter hook output priority 0; }'
            nft add rule ip quiet out icmp type echo-request drop
      - says: systemctl stops nothing
        do: {web1: mount --bind /bin/true /usr/bin/systemctl}
"""


@pytest.fixture(scope="module")
def lab(shared_labctl: Labctl, tmp_path_factory: pytest.TempPathFactory) -> Labctl:
    place = tmp_path_factory.mktemp("faults")
    (place / "lab.yaml").write_text(LAB)
    shared_labctl("up", str(place))
    return shared_labctl


def test_a_timeline_happens_at_its_time_and_its_probes_see_it(lab: Labctl, tmp_path: Path) -> None:
    """Faults of two seconds: a gap begins within an interval of the fault, and ends when the machines have found each other again."""
    picture = tmp_path / "two-faults.svg"
    done = lab("scenario", "run", "two-faults", "--json", "--svg", str(picture))
    run = lab.json("scenario", "ls")[0]
    assert run["probes"] == {"echo": "ping pc1 -> 10.0.0.2", "page": "http pc1 -> web1"}
    run = json.loads(done.stdout)
    assert [event["at_s"] for event in run["events"]] == [3, 5, 9, 11, 14]
    assert all(event["error"] is None and event["at_s"] <= event["began_s"] < event["at_s"] + 1 for event in run["events"])
    echo, page = run["probes"]
    assert 150 <= echo["sent"] <= 181
    assert len(echo["gaps"]) == 2
    for gap, event in zip(echo["gaps"], (run["events"][0], run["events"][2]), strict=True):
        assert event["began_s"] - 0.5 <= gap["from_s"] <= event["done_s"] + 0.5
        assert 1.5 <= gap["to_s"] - gap["from_s"] <= 5
    assert page["gaps"][-1]["to_s"] == run["seconds"], "the server was stopped and is missed until the end"
    assert "</svg>" in picture.read_text()
    said = done.stderr.decode()
    assert "ping pc1 -> 10.0.0.2: no answer" in said
    assert "answers again" in said
    lab("exec", "pc1", "--", "curl -s -m 10 http://10.0.0.2/")
    assert lab.json("link", "show")[0]["cut"] is False
    assert not lab.text("exec", "pc1", "--", "ls /run").count("labctl-probe")


def test_a_check_on_what_probes_saw_is_proven(lab: Labctl) -> None:
    report = lab.json("selftest", "faults", status=None)[0]
    assert report["problems"] == []
    assert report["proven"]

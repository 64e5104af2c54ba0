"""A lesson's tools on two real machines.

A scenario: its faults happen at their time, its probes see them, its lab is put back, a check on it is proven. A packet that is followed, a
cable that is listened on, checks that are watched.
"""

import json
import signal
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
      - 24s end
    after: {web1: systemctl start nginx}
checks:
  - id: faults-are-seen
    says: what befalls the link and the server is seen by the probes
    scenario: two-faults
    see:
      - {probe: longest_gap, of: echo, at_least: 1s, at_most: 15s}
      - {probe: loss, of: echo, during: 0s..2s, at_most: 0%}
      - {probe: loss, of: page, during: 20s..23s, at_least: 100%}
      - {probe: answers, of: page, during: 0s..2s, at_least: 3, witness: true}
      - {reach: pc1 -> 10.0.0.2, by: tcp/80, during: 0s..3s, witness: true}
    sabotage:
      - says: no echo request leaves pc1
        do:
          pc1: |
            nft add table ip quiet
            nft 'add chain ip quiet out { type filter hook output priority 0; }'
            nft add rule ip quiet out icmp type echo-request drop
      - says: systemctl stops nothing
        do: {web1: mount --bind /bin/true /usr/bin/systemctl}
  - id: still-there
    says: pc1 reaches web1
    see: {reach: pc1 -> 10.0.0.2, by: http}
    sabotage: {cut: pc1:eth1}
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
    assert all(event["error"] is None and event["at_s"] <= event["began_s"] for event in run["events"])
    echo, page = run["probes"]
    assert 200 <= echo["sent"] <= 241
    gaps = [gap for gap in echo["gaps"] if gap["to_s"] - gap["from_s"] >= 1]
    assert len(gaps) == 2
    for gap, fault, cure in zip(gaps, run["events"][0:3:2], run["events"][1:4:2], strict=True):
        assert fault["began_s"] - 0.5 <= gap["from_s"] <= fault["done_s"] + 0.5
        assert cure["began_s"] - 0.5 <= gap["to_s"] <= cure["done_s"] + 5, "neighbours ask for each other once a second"
    assert page["gaps"][-1]["to_s"] == run["seconds"], "the server was stopped and is missed until the end"
    assert "</svg>" in picture.read_text()
    said = done.stderr.decode()
    assert "ping pc1 -> 10.0.0.2: no answer" in said
    assert "answers again" in said
    lab("exec", "pc1", "--", "curl -s -m 10 http://10.0.0.2/")
    assert lab.json("link", "show")[0]["cut"] is False
    assert not lab.text("exec", "pc1", "--", "ls /run").count("labctl-probe")


def test_a_check_on_what_probes_saw_is_proven(lab: Labctl) -> None:
    report = lab.json("selftest", "faults", "faults-are-seen", status=None)[0]
    assert report["problems"] == []
    assert report["proven"]


def test_a_packet_is_followed_there_and_back_or_to_where_it_ends(lab: Labctl, tmp_path: Path) -> None:
    picture = tmp_path / "trace.svg"
    asked = json.loads(lab("trace", "pc1", "web1", "tcp/80", "--json", "--svg", str(picture)).stdout)
    assert asked["answered"]
    assert [(hop["from"], hop["to"], hop["way"], hop["ttl"]) for hop in asked["hops"]] == [
        ("pc1:eth1", "web1:eth1", "there", 64),
        ("web1:eth1", "pc1:eth1", "back", 64),
    ]
    assert asked["hops"][0]["port"][1] == asked["hops"][1]["port"][0] == 80
    assert "</svg>" in picture.read_text()
    assert "refused: web1 answered with a reset" in lab.text("trace", "pc1 -> web1", "tcp/81")
    assert "refused by web1" in lab.text("trace", "pc1", "10.0.0.2", "udp/9")
    assert "answered" in lab.text("trace", "pc1", "web1")
    lab("exec", "web1", "--", "sysctl -q net.ipv4.icmp_echo_ignore_all=1")
    assert "it reached web1 and went no further" in lab.text("trace", "pc1", "web1")
    lab("exec", "web1", "--", "sysctl -q net.ipv4.icmp_echo_ignore_all=0")
    assert "it never left pc1" in lab.text("trace", "pc1", "10.0.0.99")


def test_a_cable_is_listened_on_and_each_layer_is_told(lab: Labctl) -> None:
    capture = lab.start("capture", "all", "--decode", "-s", "15", "icmp")
    assert capture.stderr is not None
    while b"listening on pc1:eth1" not in capture.stderr.readline():
        assert capture.poll() is None
    lab("exec", "pc1", "--", "ping -c 1 -W 5 10.0.0.2")
    said, _ = capture.communicate(timeout=60)
    lines = [line.split() for line in said.decode().splitlines()]
    assert [words[:1] for words in lines if words].count(["Ethernet"]) == 2
    assert ["IPv4", "10.0.0.1", "→", "10.0.0.2", "TTL", "64"] in lines


def test_a_student_sees_a_lesson_fall_and_rise_again(lab: Labctl) -> None:
    watch = lab.start("verify", "faults", "still-there", "--watch", "--json")
    assert watch.stdout is not None
    assert json.loads(watch.stdout.readline())["state"] == "passed"
    lab("link", "cut", "pc1:eth1")
    assert json.loads(watch.stdout.readline())["state"] == "failed"
    lab("link", "restore", "pc1:eth1")
    assert json.loads(watch.stdout.readline())["state"] == "passed"
    watch.send_signal(signal.SIGINT)
    watch.communicate(timeout=60)
    assert watch.returncode == 0

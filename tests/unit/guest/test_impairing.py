"""The file and the script that impair links in a node."""

import subprocess
from pathlib import Path

import pytest

from labctl.guest.impairing import FILE, impairment_lines, render_impairing, render_impairments
from labctl.lab.impairments import Impairment
from labctl.lab.topology import Node
from tests.unit.guest.conftest import LoadText

LAB = """
nodes: {a: host, b: host}
links: [{ends: "a:eth1 -- b:eth1", %s}, "a:eth2 -- b:eth2"]
"""


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        ({"delay": "30ms"}, ["tc qdisc add dev eth1 root netem limit 4000 delay 30ms"]),
        ({"delay": "0.5m", "jitter": "1s"}, ["tc qdisc add dev eth1 root netem limit 3001000 delay 30000ms 1000ms"]),
        (
            {"loss": "1%", "rate": "10mbit", "duplicate": "2%", "corrupt": "0.5%"},
            ["tc qdisc add dev eth1 root netem limit 1000 loss 1% corrupt 0.5% duplicate 2% rate 10mbit"],
        ),
        ({"delay": "1ms", "reorder": "25%"}, ["tc qdisc add dev eth1 root netem limit 1100 delay 1ms reorder 25%"]),
        ({"mtu": 1400}, ["ip link set dev eth1 mtu 1400"]),
        ({"loss": "1%", "mtu": 1400}, ["tc qdisc add dev eth1 root netem limit 1000 loss 1%", "ip link set dev eth1 mtu 1400"]),
        ({}, []),
    ],
)
def test_impairments_are_said_in_the_words_of_tc_and_ip(words: dict[str, str], lines: list[str]) -> None:
    assert list(impairment_lines("eth1", Impairment.model_validate(words))) == lines


def test_a_node_without_impairments_has_no_file_of_them(load_text: LoadText) -> None:
    lab = load_text("nodes: {a: host, b: host}\nlinks: ['a:eth1 -- b:eth1']\n")
    assert render_impairments(lab.node("a")) == ""


STAND_INS = """#!/bin/sh
case "$0 $*" in *'qdisc show'*) cat {place}/queue ;; *) echo "${{0##*/}} $*" >>{place}/log ;; esac
"""


def run_in(place: Path, node: Node, *, before: str = "", queue: str = "qdisc noqueue 0: root\n") -> tuple[int, str, str]:
    """Run the script with stand-ins for tc and ip, below `place` instead of `/`; its status, what it did and what it said."""
    for name in ("tc", "ip"):
        (place / name).write_text(STAND_INS.format(place=place))
        (place / name).chmod(0o755)
    (place / "queue").write_text(queue)
    for directory in ("etc/network", "etc/systemd/system/multi-user.target.wants"):
        (place / directory).mkdir(parents=True)
    if before:
        (place / FILE[1:]).write_text(before)
    script = render_impairing(node).replace("/etc/", f"{place}/etc/")
    environment = {"PATH": f"{place}:/usr/bin:/bin"}
    done = subprocess.run(("sh", "-s"), input=script, capture_output=True, text=True, check=False, timeout=30, env=environment)
    log = place / "log"
    return done.returncode, log.read_text() if log.exists() else "", done.stdout + done.stderr


def test_a_running_node_gets_its_queue_and_its_mtu_and_keeps_them(load_text: LoadText, tmp_path: Path) -> None:
    status, did, said = run_in(tmp_path, load_text(LAB % "delay: 30ms, mtu: 1400").node("a"))
    assert (status, said) == (0, "")
    assert did == "tc qdisc add dev eth1 root netem limit 4000 delay 30ms\nip link set dev eth1 mtu 1400\n"
    assert (tmp_path / FILE[1:]).read_text().endswith(did), "at the next boot the same is done"
    assert (tmp_path / "etc/systemd/system/multi-user.target.wants/link-impairments.service").is_symlink()


def test_a_cleared_node_loses_queue_and_mtu(load_text: LoadText, tmp_path: Path) -> None:
    node = load_text(LAB % "delay: 0ms").node("a")
    before = "tc qdisc add dev eth1 root netem limit 4000 delay 30ms\nip link set dev eth1 mtu 1400\n"
    status, did, said = run_in(tmp_path, node, before=before, queue="qdisc netem 8001: root refcnt 2 limit 4000\n")
    assert (status, did, said) == (0, "tc qdisc del dev eth1 root\nip link set dev eth1 mtu 1500\n", "")
    assert not (tmp_path / FILE[1:]).exists()


def test_a_queue_that_is_as_it_should_be_is_left_alone(load_text: LoadText, tmp_path: Path) -> None:
    node = load_text(LAB % "loss: 1%").node("a")
    line = "tc qdisc add dev eth1 root netem limit 1000 loss 1%\n"
    assert run_in(tmp_path, node, before=line, queue="qdisc netem 8001: root refcnt 2 limit 1000 loss 1%\n") == (0, "", "")


def test_a_queue_that_somebody_else_made_is_not_taken_away(load_text: LoadText, tmp_path: Path) -> None:
    status, did, said = run_in(tmp_path, load_text(LAB % "loss: 1%").node("a"), queue="qdisc htb 1: root refcnt 2\n")
    assert (status, did) == (1, "")
    assert "eth1 has a queue of its own: qdisc htb" in said

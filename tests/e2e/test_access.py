"""Ways into a running lab, each with real traffic: exec, cp, ssh, a forward through ssh-config, open, capture, console, links."""

import json
import os
import select
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import COMMAND, Labctl, new_labctl

pytestmark = pytest.mark.e2e

LAB = """\
name: access
title: {en: A switch and a web server}
nodes:
  pc1..pc2: host
  sw1: {role: l2-switch, ports: [port4]}
  www: web
links:
  - pc1:eth1 -- sw1:port1
  - pc2:eth1 -- sw1:port2
  - www:eth1 -- sw1:port3
addresses:
  pc1: {eth1: 192.168.1.11/24}
  pc2: {eth1: 192.168.1.12/24}
  www: {eth1: 192.168.1.80/24}
checks:
  - id: web-answers
    says: {en: the page is served, ja: ページが返る}
    see:
      - {reach: pc1 -> 192.168.1.80, by: http}
    sabotage:
      - {do: {www: systemctl stop nginx}, undo: {www: systemctl start nginx}}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labctl]:
    place = tmp_path_factory.mktemp("access lab")  # a space in the path, on purpose
    (place / "lab.yaml").write_text(LAB)
    for labctl in new_labctl(tmp_path_factory.mktemp("state")):
        labctl("up", str(place))
        yield labctl


def test_exec_returns_the_commands_own_status_and_output(lab: Labctl) -> None:
    assert lab.text("exec", "pc1", "--", "hostname").strip() == "pc1"
    lab("exec", "pc1", "--", "sh", "-c", "exit 7", status=7)
    lab("exec", "nobody", "--", "true", status=255)


def test_exec_reads_standard_input_and_reaches_several_nodes(lab: Labctl) -> None:
    assert lab.text("exec", "pc1", "--", "cat", stdin=b"through the agent\n") == "through the agent\n"
    said = lab.text("exec", "all", "--", "hostname")
    assert all(name in said for name in ("pc1", "pc2", "sw1", "www"))


def test_a_student_sees_the_lesson_and_nothing_else(lab: Labctl) -> None:
    interfaces = {link["ifname"] for link in json.loads(lab.text("ssh", "pc1", "--", "ip", "-json", "link"))}
    assert interfaces == {"lo", "eth1"}
    addresses = json.loads(lab.text("ssh", "pc1", "--", "ip", "-json", "-4", "addr"))
    assert {a["local"] for link in addresses for a in link["addr_info"]} == {"127.0.0.1", "192.168.1.11"}
    assert lab.text("ssh", "pc1", "--", "ss", "-Hltnup").strip() == ""
    assert lab.text("ssh", "pc1", "--", "nft", "list", "ruleset").strip() == ""
    assert "169.254" not in lab.text("ssh", "pc1", "--", "ip", "route", "show", "table", "all")
    assert "UTF-8" in lab.text("ssh", "pc1", "--", "locale", "charmap")
    tools = "ping arping tcpdump traceroute curl nc less nano ip bridge ss"
    lab("ssh", "pc1", "--", f"for tool in {tools}; do command -v $tool >/dev/null || exit 9; done")


def test_files_travel_both_ways(lab: Labctl, tmp_path: Path) -> None:
    original = tmp_path / "日本 語.bin"
    original.write_bytes(bytes(range(256)) * 4096)
    lab("cp", str(original), "pc2:/tmp/arrived.bin")
    lab("cp", "pc2:/tmp/arrived.bin", str(tmp_path / "back.bin"))
    assert (tmp_path / "back.bin").read_bytes() == original.read_bytes()


def test_any_ssh_client_reaches_a_node_through_ssh_config(lab: Labctl, tmp_path: Path) -> None:
    config = tmp_path / "ssh_config"
    config.write_text(lab.text("ssh-config"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    forward = ("ssh", "-F", str(config), "-N", "-L", f"127.0.0.1:{port}:192.168.1.80:80", "-o", "ExitOnForwardFailure=yes", "pc1")
    with subprocess.Popen(forward) as client:
        try:
            assert "<" in _page(port), "the page came through pc1's own network"
        finally:
            client.terminate()


def test_open_brings_a_port_to_the_workstation(lab: Labctl) -> None:
    opened = lab.start("open", "www:80")
    try:
        assert opened.stdout is not None
        said = opened.stdout.readline().decode()
        port = int(said.split("127.0.0.1:")[1].split("/")[0].split()[0])
        assert "<" in _page(port)
    finally:
        opened.terminate()
        opened.communicate(timeout=30)


def _page(port: int) -> str:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                return str(answer.read().decode())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)


def test_a_capture_holds_what_passed(lab: Labctl, tmp_path: Path) -> None:
    file = tmp_path / "wire.pcap"
    capture = lab.start("capture", "sw1:port2", "-w", str(file))
    time.sleep(3)
    lab("exec", "pc1", "--", "ping", "-c", "3", "192.168.1.12")
    time.sleep(1)
    capture.send_signal(2)
    capture.communicate(timeout=30)
    tshark = ("tshark", "-r", str(file), "-Y", "icmp", "-T", "fields", "-e", "ip.src", "-e", "ip.checksum.status")
    seen = subprocess.run(tshark, capture_output=True, text=True, check=True).stdout.split("\n")[:-1]
    assert [line.split("\t")[0] for line in seen] == ["192.168.1.11", "192.168.1.12"] * 3


def test_an_idle_cable_carries_nothing(lab: Labctl, tmp_path: Path) -> None:
    lab("exec", "all", "--", "true")
    time.sleep(5)
    file = tmp_path / "quiet.pcap"
    capture = lab.start("capture", "pc1:eth1", "-w", str(file))
    time.sleep(33)
    capture.send_signal(2)
    capture.communicate(timeout=30)
    frames = subprocess.run(("tshark", "-r", str(file)), capture_output=True, text=True, check=True).stdout
    assert frames == ""


def test_a_pulled_cable_takes_the_carrier_from_both_ends_and_a_host_moves_port(lab: Labctl) -> None:
    carrier = ("cat", "/sys/class/net/eth1/carrier")
    assert lab.text("exec", "pc1", "--", *carrier).strip() == "1"
    lab("link", "cut", "pc1:eth1")
    assert lab.text("exec", "pc1", "--", *carrier).strip() == "0"
    assert lab.text("exec", "sw1", "--", "cat", "/sys/class/net/port1/carrier").strip() == "0"
    lab("exec", "pc1", "--", "ping", "-c", "1", "-W", "2", "192.168.1.12", status=1)
    lab("link", "restore", "pc1:eth1")
    lab("exec", "pc1", "--", "ping", "-c", "4", "-W", "5", "192.168.1.12")
    lab("link", "move", "pc1:eth1", "sw1:port4")
    assert lab.text("exec", "sw1", "--", "cat", "/sys/class/net/port1/carrier").strip() == "0"
    lab("exec", "pc1", "--", "ping", "-c", "4", "-W", "5", "192.168.1.12")


def test_a_second_up_changes_nothing_and_says_so(lab: Labctl) -> None:
    lab("reset")
    place = json.loads((lab.instances / "access" / "instance.json").read_text())["file"]
    before = lab.record("access")
    assert "nothing" in lab.text("up", place).lower()
    assert lab.record("access") == before
    lab("set", "sw1", "learning=false")
    assert "nothing" not in lab.text("up", place).lower(), "what was set by hand is not what the file says"
    assert "learning on" in lab.text("exec", "sw1", "--", "bridge", "-d", "link", "show", "dev", "port1")


def test_a_reboot_keeps_a_nodes_role(lab: Labctl) -> None:
    boot = ("exec", "sw1", "--", "cat", "/proc/sys/kernel/random/boot_id")
    before = lab.text(*boot)
    lab("exec", "sw1", "--", "sh", "-c", "systemctl reboot & sleep 1", status=None)
    deadline = time.monotonic() + 180
    while (after := lab(*boot, status=None)).returncode or after.stdout.decode() == before:
        assert time.monotonic() < deadline, "the switch starts again"
        time.sleep(1)
    for address in ("192.168.1.12", "192.168.1.80"):  # behind two ports of the switch
        while lab("exec", "pc1", "--", "ping", "-c", "1", "-W", "2", address, status=None).returncode:
            assert time.monotonic() < deadline, f"the switch forwards to {address} again after its reboot"
            time.sleep(1)
    lab("verify", "access")


def test_halt_and_start_keep_the_disk(lab: Labctl) -> None:
    lab("exec", "pc2", "--", "sh", "-c", "echo kept > /root/note; sync")
    lab("halt", "pc2")
    assert {node["name"]: node["state"] for node in lab.json("status")[0]["nodes"]}["pc2"] == "off"
    lab("start", "pc2")
    assert lab.text("exec", "pc2", "--", "cat", "/root/note").strip() == "kept"
    lab("reset", "pc2")
    lab("exec", "pc2", "--", "test", "-e", "/root/note", status=1)


def test_the_console_shows_a_prompt_with_the_nodes_name(lab: Labctl) -> None:
    ours, theirs = os.openpty()
    with subprocess.Popen((*COMMAND, "console", "pc2"), env=lab.environment, stdin=theirs, stdout=theirs, stderr=theirs) as console:
        os.close(theirs)
        try:
            said, deadline = b"", time.monotonic() + 60
            while b"root@pc2" not in said:
                assert time.monotonic() < deadline, said
                os.write(ours, b"\r")
                if select.select([ours], [], [], 1)[0]:
                    said += os.read(ours, 4096)
            os.write(ours, b"\x1d")  # Ctrl-] leaves it
            console.wait(timeout=20)
        finally:
            console.kill()
            os.close(ours)

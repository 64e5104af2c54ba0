"""Guests that mean ill, and checks that do not end: each is named and bounded, and the rest goes on."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Labctl, new_labctl

pytestmark = pytest.mark.e2e
LAB = """\
name: hostile
title: {en: A machine that means ill, ja: 悪意のあるマシン}
nodes:
  pc1: {role: host, memory: 256MiB}
checks:
  - id: never-ends
    says: {en: a stimulus without end, ja: 終わらない刺激}
    do: {pc1: {run: sleep 100000, within: 1s}}
    see: [{node: pc1, run: 'true'}]
    sabotage: [{do: {pc1: 'true'}, undo: {pc1: 'true'}}]
  - id: prints-gigabytes
    says: {en: an answer without end, ja: 終わらない出力}
    see: [{node: pc1, run: 'yes'}]
    sabotage: [{do: {pc1: 'true'}, undo: {pc1: 'true'}}]
  - id: steers
    says: {en: an answer that steers terminals, ja: 端末を操る出力}
    see: [{node: pc1, run: "printf '\\\\033]0;evil\\\\007\\\\033[2J'; false"}]
    sabotage: [{do: {pc1: 'true'}, undo: {pc1: 'true'}}]
  - id: holds
    says: {en: the machine still works, ja: マシンは動いている}
    see: [{node: pc1, run: hostname}]
    sabotage: [{do: {pc1: 'true'}, undo: {pc1: 'true'}}]
"""
FLOOD_S = 12
LIAR = r"""
import os, re, time
port = os.open("/dev/virtio-ports/org.qemu.guest_agent.0", os.O_RDWR)
n = 0
while True:
    try:
        asked = os.read(port, 65536)
    except OSError:
        time.sleep(0.1)
        continue
    if not asked:
        time.sleep(0.1)
        continue
    number = re.search(rb'"id":\s*(\d+)', asked)
    if number:  # libvirt's own guest-sync is answered rightly: the lie comes after it
        os.write(port, b"\xff" + b'{"return": ' + number[1] + b"}\n")
        continue
    n += 1
    os.write(port, [b'{"return": "\x1b]0;evil"}\n', b"[" * 3000 + b"\n", b'{"return": {"exited": "yes"}}\n', b"x" * 12000000][n % 4])
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labctl]:
    place = tmp_path_factory.mktemp("hostile")
    (place / "lab.yaml").write_text(LAB)
    for labctl in new_labctl(tmp_path_factory.mktemp("state")):
        labctl("up", str(place))
        yield labctl


def node(lab: Labctl) -> Any:
    return lab.json("status", "hostile")[0]["nodes"][0]


def works(lab: Labctl) -> bool:
    return lab.text("exec", "pc1", "--", "hostname").strip() == "pc1"


def test_checks_that_never_end_or_print_gigabytes_are_errors_and_the_others_are_judged(lab: Labctl) -> None:
    began = time.monotonic()
    told = lab("verify", "hostile", "--json", status=None)
    assert time.monotonic() - began < 240
    said = told.stdout.decode()
    assert "\x1b" not in said + told.stderr.decode()
    states = {check["id"]: check["state"] for check in lab_checks(said)}
    assert states["holds"] == "passed"
    assert states["never-ends"] != "passed"
    assert states["prints-gigabytes"] != "passed"
    assert "\x1b" not in lab.text("verify", "hostile", "steers", status=None)
    assert works(lab)


def lab_checks(said: str) -> Any:
    import json

    data = json.loads(said)
    report = data[0] if isinstance(data, list) else data
    return report["checks"]


def test_a_command_that_prints_gigabytes_is_cut_says_so_and_the_node_still_answers(lab: Labctl) -> None:
    began = time.monotonic()
    done = lab("exec", "pc1", "--", "yes", status=None)
    assert time.monotonic() - began < 60
    assert 2_000_000 < len(done.stdout) < 3_000_000
    assert b"too long" in done.stderr
    assert works(lab)
    assert len(lab("exec", "pc1", "--", "head", "-c", "2000000", "/dev/zero").stdout) == 2_000_000


def test_a_serial_console_that_is_flooded_does_not_fill_the_hosts_disk(lab: Labctl) -> None:
    log = lab.instances / "hostile" / "log" / "serial-pc1.log"
    lab("exec", "pc1", "--", "sh", "-c", f"timeout {FLOOD_S} sh -c 'yes $(head -c 1000 /dev/zero | tr \"\\0\" x) >/dev/ttyS0'; true")
    lab("exec", "pc1", "--", "sh", "-c", "dmesg -n 1; true")
    with log.open("ab") as file:
        file.write(b"y\n" * (20 << 20))  # as if it had printed for longer
    deadline = time.monotonic() + 60
    while log.stat().st_size > 20 << 20:
        assert time.monotonic() < deadline, "its log is kept short"
        time.sleep(0.5)
    assert works(lab)


def test_a_guest_that_fills_its_own_disk_still_answers_and_is_put_back(lab: Labctl) -> None:
    fill = "fallocate -l $(($(df --output=avail -k / | tail -1) - 64))K /filler; dd if=/dev/zero of=/rest bs=4k 2>&1"
    assert lab.text("exec", "pc1", "--", "sh", "-c", f"{fill}; df --output=avail / | tail -1").split()[-1] == "0"
    assert works(lab)
    assert b"No space left" in lab("exec", "pc1", "--", "cp", "/bin/bash", "/root/", status=1).stderr
    lab("reset", "pc1")
    assert lab.text("exec", "pc1", "--", "sh", "-c", "ls /filler 2>/dev/null; echo gone").strip() == "gone"


def test_a_kernel_that_panicked_is_named_by_status_and_put_back(lab: Labctl) -> None:
    lab("exec", "pc1", "--", "sh", "-c", "(sleep 1; echo c >/proc/sysrq-trigger) >/dev/null 2>&1 &")
    deadline = time.monotonic() + 60
    while "panicked: sysrq triggered crash" not in node(lab)["why"]:
        assert time.monotonic() < deadline, node(lab)
        time.sleep(0.5)
    began = time.monotonic()
    assert b"does not answer" in lab("exec", "pc1", "--", "true", status=255).stderr
    assert time.monotonic() - began < 90
    lab("reset", "pc1")
    assert node(lab)["why"] == ""
    assert works(lab)


def test_an_agent_that_hangs_is_named_in_time_and_put_back(lab: Labctl) -> None:
    lab("exec", "pc1", "--", "sh", "-c", "(sleep 1; kill -STOP $(pidof qemu-ga)) >/dev/null 2>&1 &")
    time.sleep(3)
    began = time.monotonic()
    told = lab("exec", "pc1", "--", "true", status=255).stderr.decode()
    assert time.monotonic() - began < 90
    assert "pc1" in told
    assert "labctl reset pc1" in told
    lab("verify", "hostile", "holds", status=5)
    lab("reset", "pc1")
    assert works(lab)


def test_an_agent_that_lies_harms_nobody_but_its_node(lab: Labctl) -> None:
    start = "systemd-run --quiet --collect sh -c 'sleep 2; systemctl stop qemu-guest-agent; exec python3 /root/liar.py'"
    lab("exec", "pc1", "--", "sh", "-c", f"cat >/root/liar.py; {start}", stdin=LIAR.encode())
    time.sleep(6)
    for _ in range(5):
        began = time.monotonic()
        told = lab("exec", "pc1", "--", "hostname", status=255).stderr.decode()
        assert time.monotonic() - began < 90
        assert "Traceback" not in told
        assert "\x1b" not in told
        assert told.startswith("labctl: pc1: ")
    assert node(lab)["state"] == "running"
    lab("reset", "pc1")
    assert works(lab)


def test_a_guest_reaches_neither_the_hosts_loopback_nor_its_network(lab: Labctl) -> None:
    """Root of the guest tries, from the lesson's network and from labctl's own; on the host it is listened to everywhere."""
    with socket.create_server(("0.0.0.0", 0)) as server:  # noqa: S104 - so that a way in on any address would be seen
        server.settimeout(1)
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            server.accept()[0].close()  # the witness: who may, reaches it
        targets = f"127.0.0.1 10.0.2.2 10.0.2.3 169.254.0.1 169.254.0.2 169.254.1.0 192.0.2.1 {own_address()}"
        tries = f"for to in {targets}; do nc -z -w 1 $to {port} && echo reached $to; done; true"
        outside = "ip link set eth0 up 2>/dev/null; ip route replace default dev eth0 2>/dev/null"
        said = lab.text("exec", "pc1", "--", "sh", "-c", f"{tries}; ip netns exec mgmt sh -c '{outside}; {tries}'", timeout_s=300)
        assert "reached" not in said
        with pytest.raises(TimeoutError):
            server.accept()
    assert works(lab)


def own_address() -> str:
    """An address of this machine that others reach it by; its loopback if there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def test_the_lab_that_was_so_treated_leaves_nothing(lab: Labctl, tmp_path: Path) -> None:
    from tests.e2e.host_view import processes_of

    lab("down", "hostile")
    assert processes_of(lab.state) == []

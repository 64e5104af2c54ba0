"""The files and the script that tell a node who it is."""

import subprocess

import pytest

from labctl.guest.identity import Identity, identity_files, identity_script, names_can_clash, render_hosts, render_sysctl
from tests.unit.guest.conftest import LoadText

THREE = """\
nodes: {pc1: host, sw1: l2-switch, r1: router}
links: ['pc1:eth1 -- sw1:port1', 'sw1:port2 -- r1:eth1']
addresses: {pc1: {eth1: [10.0.0.1/24, 10.0.0.9/24]}, r1: {lo: 10.255.0.1/32, eth1: 10.0.0.254/24}}
"""


def test_hosts_names_every_node_by_its_first_address_and_a_node_without_one_knows_itself(load_text: LoadText) -> None:
    lab = load_text(THREE)
    head = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
    assert render_hosts(lab, lab.node("pc1")) == f"{head}10.0.0.1 pc1\n10.0.0.254 r1\n"
    assert render_hosts(lab, lab.node("sw1")) == f"{head}127.0.1.1 sw1\n10.0.0.1 pc1\n10.0.0.254 r1\n"


def test_files_are_those_of_the_node_and_keys_are_for_root_alone(load_text: LoadText, identity: Identity) -> None:
    lab = load_text(THREE)
    files = {file.path: file for file in identity_files(lab, lab.node("sw1"), identity)}
    mac = lab.node("sw1").interface("port2").mac
    assert files["/etc/systemd/network/10-port2.link"].content.decode() == f"[Match]\nMACAddress={mac}\n\n[Link]\nName=port2\n"
    assert {path for path, file in files.items() if file.mode == 0o600} == {"/root/.ssh/authorized_keys", "/etc/ssh/ssh_host_ed25519_key"}
    assert files["/etc/ssh/ssh_host_ed25519_key"].content == b"-----PRIVATE-----\nkey\n"


def test_ipv6_is_switched_on_only_where_the_lab_asks_for_it(load_text: LoadText) -> None:
    lab = load_text("nodes: {a: host, b: {role: host, ipv6: true}}\n")
    assert "ipv6" not in render_sysctl(lab.node("a"))
    assert "net.ipv6.conf.default.disable_ipv6 = 0" in render_sysctl(lab.node("b"))
    assert "net.ipv6.conf.all.accept_ra = 0" in render_sysctl(lab.node("b"))


@pytest.mark.parametrize(
    ("ports", "clash"),
    [
        ("eth1, eth2", False),
        ("port1, port2", False),
        ("eth1, eth3", False),
        ("eth1, lan0", False),
        ("eth0", True),
        ("eth2, eth3", True),
        ("a0, eth1", True),
    ],
)
def test_names_that_the_kernel_gives_to_other_nics_are_put_right_at_every_boot(
    load_text: LoadText, identity: Identity, ports: str, clash: bool
) -> None:
    lab = load_text(f"nodes: {{a: {{role: host, ports: [{ports}]}}}}\n")
    assert names_can_clash(lab.node("a")) == clash
    paths = [file.path for file in identity_files(lab, lab.node("a"), identity)]
    assert ("/etc/systemd/system/networking.service.d/names.conf" in paths) == clash


def test_sh_finds_no_fault_in_the_script(load_text: LoadText, identity: Identity) -> None:
    lab = load_text(THREE)
    checked = subprocess.run(("sh", "-n"), input=identity_script(lab.node("sw1"), identity), capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")

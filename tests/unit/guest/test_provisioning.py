"""What the shipped roles write into a node, held against golden files, and the steps that carry it there."""

import re
import subprocess
from pathlib import Path

import pytest

from labctl.errors import LoadError
from labctl.guest.identity import Identity
from labctl.guest.provisioning import render_changes, render_steps
from labctl.guest.rendering import render_lab
from labctl.host.run import run
from labctl.lab.settings import change_settings
from tests.unit.conftest import Golden
from tests.unit.guest.conftest import LoadText

GOLDEN = Path(__file__).parents[1] / "golden" / "provisioning"
LINKS = """\
links:
  - one:port1 -- pc1:eth1
  - one:port2 -- pc2:eth1
"""
SWITCH = "nodes: {one: ROLE, pc1: host, pc2: host}\n" + LINKS
NAT = """
nodes:
  one:
    role: nat
    ports: [eth1, eth2]
    HOW
addresses: {one: {eth1: 192.168.0.1/24, eth2: 198.51.100.20/24}}
"""
CASES = {
    "host": """
nodes: {one: {role: host, gateway: 10.0.0.254, routes: [{to: 10.9.0.0/16, via: 10.0.0.253}], ports: [eth1, eth2]}}
addresses: {one: {lo: 10.255.0.1/32, eth1: [10.0.0.1/24, 10.0.0.2/24]}}
""",
    "host-ipv6": """
nodes: {one: {role: host, ipv6: true, gateway: "2001:db8:1::1", routes: [{to: "2001:db8:9::/48", via: "2001:db8:1::9"}], ports: [eth1]}}
addresses: {one: {lo: "2001:db8:ff::1/128", eth1: [10.0.0.1/24, "2001:db8:1::2/64", "2001:db8:1::3/64"]}}
""",
    "l2-switch": SWITCH.replace("ROLE", "l2-switch"),
    "l2-switch-vlans": """
nodes: {one: {role: l2-switch, ageing_s: 10, stp: true, gateway: 10.0.0.254}, pc1: host, pc2: host, pc3: host, pc4: host}
links:
  - {ends: one:port1 -- pc1:eth1, vlan: 10}
  - {ends: one:port2 -- pc2:eth1, trunk: [10, 20]}
  - {ends: one:port3 -- pc3:eth1, vlan: 1, trunk: [30], learning: false}
  - one:port4 -- pc4:eth1
addresses: {one: {br0: 10.0.0.1/24}}
""",
    "l2-switch-stp": SWITCH.replace("ROLE", "{role: l2-switch, stp: {priority: 4096, hello: 1s, forward_delay: 4s, max_age: 6s}}"),
    "hub": SWITCH.replace("ROLE", "hub"),
    "hub-that-learns": SWITCH.replace("ROLE", "{role: hub, learning: true}"),
    "hub-shared": SWITCH.replace("ROLE", "{role: hub, rate: 2mbit}"),
    "hub-that-learns-not-shared": SWITCH.replace("ROLE", "{role: hub, rate: 2mbit, learning: true}"),
    "repeater": SWITCH.replace("ROLE", "repeater"),
    "bridge": SWITCH.replace("ROLE", "{role: bridge, ageing_s: 10}"),
    "bridge-that-filters-nothing": SWITCH.replace("ROLE", "{role: bridge, learning: false}"),
    "router": """
nodes: {one: {role: router, routes: [{to: 10.2.0.0/16, via: 10.0.12.2}], ports: [eth1, eth2]}}
addresses: {one: {lo: 10.255.0.1/32, eth1: 10.1.0.1/24, eth2: 10.0.12.1/24}}
""",
    "router-off-ipv6": """
nodes: {one: {role: router, forwarding: false, ipv6: true, ports: [eth1]}}
addresses: {one: {eth1: "2001:db8:1::1/64"}}
""",
    "router-ospf": """
nodes:
  one: {role: router, ospf: {area: 1, hello: 1s, dead: 4s}}
  two: {role: router, router_id: 9.9.9.9, ospf: true}
links:
  - {ends: one:eth1 -- two:eth1, ospf: {cost: 50, network: point-to-point, area: 0}}
  - {ends: one:eth2 -- two:eth2, ospf: {passive: true, hello: 2s, dead: 8s}}
addresses: {one: {lo: 10.255.0.1/32, eth1: 10.0.0.1/30, eth2: 10.0.1.1/30}, two: {eth1: 10.0.0.2/30}}
""",
    "router-rip": """
nodes: {one: {role: router, ospf: false, rip: {update: 5s}, ports: [eth3]}, two: {role: router, rip: true}}
links:
  - one:eth1 -- two:eth1
  - {ends: one:eth2 -- two:eth2, rip: {passive: true}}
addresses: {one: {eth1: 10.0.0.1/30, eth2: 10.0.1.1/30}, two: {eth1: 10.0.0.2/30}}
""",
    "router-bgp": """
nodes:
  one: {role: router, bgp: {as: 65001}}
  two: {role: router, bgp: {as: 4200000002, hold: 9s}}
  three: {role: router, ospf: true}
links:
  - one:eth1 -- two:eth1
  - one:eth2 -- three:eth1
addresses:
  one: {lo: 10.255.0.1/32, eth1: 10.0.0.1/30, eth2: 10.0.1.1/30}
  two: {eth1: [10.0.0.2/30, 10.0.9.1/24]}
  three: {eth1: 10.0.1.2/30}
""",
    "l3-switch": """
nodes: {one: {role: l3-switch, routes: [{to: 10.9.0.0/16, via: 10.0.20.254}], ports: [port4]}, pc1: host, pc2: host, pc3: host}
links:
  - {ends: one:port1 -- pc1:eth1, vlan: 10}
  - {ends: one:port2 -- pc2:eth1, trunk: [10, 20]}
  - {ends: one:port3 -- pc3:eth1, vlan: 1, trunk: [20]}
addresses: {one: {vlan10: 10.0.10.1/24, vlan20: 10.0.20.1/24}}
""",
    "l3-switch-slow": """
nodes: {one: {role: l3-switch, routing: false, fast_path: false, gateway: 10.0.10.254}, pc1: host}
links: [{ends: one:port1 -- pc1:eth1, vlan: 10}]
addresses: {one: {vlan10: 10.0.10.1/24}}
""",
    "web": "nodes: {one: {role: web, ports: [eth1]}}\naddresses: {one: {eth1: 10.1.0.1/24}}\n",
    "web-who-asked": "nodes: {one: {role: web, page: who-asked, port: 8080, ipv6: true}}\n",
    "web-tls": "nodes: {one: {role: web, tls: true, ports: [eth1]}}\naddresses: {one: {eth1: [10.1.0.1/24, 10.1.0.2/24]}}\n",
    "nat": NAT.replace("HOW", ""),
    "nat-fixed-ports": NAT.replace(
        "HOW",
        """
    translate: [{from: 192.168.0.15, to: 198.51.100.20, port: 100}, {from: 192.168.0.16, to: 198.51.100.20, port: 200}]
    forward: [{port: 8080, to: 192.168.0.15, to_port: 80}, {port: 5000-5009, to: 192.168.0.16, protocol: udp}]
""",
    ),
    "nat-one-to-one": NAT.replace("HOW", "translate: one-to-one\n    lease_s: 10"),
    "nat-none": NAT.replace("HOW", "translate: none"),
    "firewall": """
nodes:
  one:
    role: firewall
    segments: {trusted: eth1, untrusted: eth2}
    rules:
      - {source: 203.0.113.66, action: drop}
      - {services: [http, https, dns, ping, tcp/8080, udp/5000-5010]}
      - {from: trusted, to: untrusted, destination: 10.2.0.0/16}
    ports: [eth1, eth2]
addresses: {one: {eth1: 10.1.0.1/24, eth2: 10.2.0.1/24}}
""",
    "firewall-stateless": "nodes: {one: {role: firewall, stateful: false, ports: [eth1, eth2]}}\n",
    "proxy": "nodes: {one: {role: proxy, ports: [eth1]}}\naddresses: {one: {eth1: 10.1.0.1/24}}\n",
    "proxy-that-refuses": """
nodes:
  one:
    role: proxy
    port: 8080
    clients: [192.168.1.0/24, 192.168.2.0/24]
    methods: [GET, HEAD]
    deny_urls: [/secret, /a.b]
    deny_sites: [.example.org, www.example.com]
    forwarded_for: false
""",
    "docker-host": "nodes: {one: {role: docker-host, ports: [eth1]}}\naddresses: {one: {eth1: 10.1.0.1/24}}\n",
    "docker-host-containers": """
nodes:
  one: {role: docker-host, userland_proxy: false, containers: [{name: web1}, {name: web2, publish: ["8081:80", "127.0.0.1:8082:80/tcp"]}]}
""",
    "docker-host-of-a-registry": """
nodes: {one: {role: docker-host, userland_proxy: false, insecure_registries: ["registry:5000", 10.0.0.0/8]}}
""",
    "registry": "nodes: {one: {role: registry, ports: [eth1]}}\naddresses: {one: {eth1: 10.1.0.1/24}}\n",
    "registry-that-refuses": "nodes: {one: {role: registry, port: 5001, read_only: true, ipv6: true, repositories: [shop]}}\n",
    "git-server": "nodes: {one: {role: git-server, repositories: [shop, site]}}\n",
    "kvm-host": "nodes: {one: {role: kvm-host, ports: [eth1]}}\naddresses: {one: {eth1: 10.1.0.1/24}}\n",
    "xen-host": "nodes: {one: {role: xen-host, bridge: 10.0.7.1/24}}\n",
}


@pytest.mark.parametrize("case", CASES)
def test_a_role_writes_what_its_golden_files_say(case: str, load_text: LoadText, golden: Golden) -> None:
    texts = render_lab(load_text(CASES[case]), run)["one"]
    for file in texts.files:
        golden(GOLDEN / case / f"{file.path.lstrip('/')}", file.content)
    golden(GOLDEN / case / "apply.sh", texts.apply)
    golden(GOLDEN / case / "ready.sh", texts.ready)


@pytest.mark.parametrize(
    ("node", "what"),
    [
        ("{role: l2-switch, stp: {hello: 5s, max_age: 6s}}", "`max_age` is from 12s to 28s with this `hello` and `forward_delay`"),
        ("{role: l2-switch, stp: {forward_delay: 4s}}", "`max_age` is from 6s to 6s with this `hello` and `forward_delay`"),
        ("{role: l2-switch, stp: {timers: fast}}", "no `timers` in `stp`"),
        ("{role: nat, ports: [eth1]}", "one has no interface `eth2`; it has eth1"),
        ("{role: nat, ports: [eth1, eth2]}", "one has no IPv4 address on eth2, so there is no global address"),
        ("{role: nat, translate: [{from: 10.0.0.1, to: 10.0.0.2, port: 100, ports: 200}]}", "`translate` is a list"),
        ("{role: nat, forward: [{port: 80, to: 10.0.0.1, till: 9}]}", "no `till` in item 1 of `forward`"),
        ("{role: firewall, ports: [eth1]}", "segment `outside` is behind `eth2`, which one does not have; it has eth1"),
        ("{role: firewall, ports: [eth1, eth2], rules: [{to: dmz}]}", "a rule names the segment `dmz`; known are inside, outside"),
        ("{role: firewall, rules: [{service: [http]}]}", "no `service` in item 1 of `rules`"),
        ("{role: hub, rate: fast}", "`rate` is `fast`"),
        ("{role: repeater, ports: [port1]}", "a repeater joins two cables; one has 1"),
        ("{role: repeater, ports: [port1, port2, port3]}", "a repeater joins two cables; one has 3"),
        ("{role: bridge, ports: [port1]}", "a bridge joins two segments or more; one has 1"),
        ("{role: docker-host, containers: [{name: web1, image: shop}]}", "container web1 wants the image `shop`; `images` has web"),
        ("{role: proxy, method: [GET]}", "no setting `method` in role proxy"),
        ("{role: web, tls: true, port: 443}", "port 443 is for HTTPS; HTTP cannot have it too"),
        ("{role: web, https: true}", "no setting `https` in role web"),
    ],
)
def test_a_role_refuses_settings_that_it_does_not_know_or_cannot_fit_together(node: str, what: str, load_text: LoadText) -> None:
    with pytest.raises(LoadError) as refused:
        render_lab(load_text(f"nodes: {{one: {node}}}\n"), run)
    assert [fault.what for fault in refused.value.faults] == [what]


@pytest.mark.parametrize("case", CASES)
def test_sh_finds_no_fault_in_the_steps_of_any_role(case: str, load_text: LoadText, identity: Identity) -> None:
    lab = load_text(CASES[case])
    rendered = render_lab(lab, run)
    for first in (True, False):
        steps = render_steps(lab, lab.node("one"), identity, rendered, first=first)
        names = ["identity", f"role {lab.node('one').role.name}", "ready", *([] if first else ["impairments"])]
        assert [step.name for step in steps] == names
        for step in steps:
            script = re.split(rb"script 0 \d+ -\n", step.stdin)[-1]  # of a bundle, its last part
            checked = subprocess.run(("sh", "-n"), input=script, capture_output=True, check=False)
            assert (checked.returncode, checked.stderr) == (0, b"")


def test_the_commands_of_hub_and_switch_make_a_bridge_and_may_run_again(load_text: LoadText) -> None:
    """In a network namespace, with cables of its own; as root there, whoever we are here."""
    for role, learning, ageing in (("hub", "off", 0), ("l2-switch", "on", 30000)):
        interfaces = render_lab(load_text(SWITCH.replace("ROLE", role)), run)["one"].files[0].content
        interfaces = interfaces.replace("vlan_filtering 0 ", "")  # a guest's kernel has it; the host's may not
        commands = [line.split(maxsplit=1)[1] for line in interfaces.splitlines() if line.split()[:1] in (["up"], ["pre-up"])]
        show = ["ip -d link show br0", "ip -d link show port2"]
        cables = ["mount -t sysfs none /sys", "ip link add port1 type veth peer name a", "ip link add port2 type veth peer name b"]
        script = "\n".join([*cables, *commands, *commands, *show])
        done = subprocess.run(("unshare", "-Urnm", "sh", "-ec", script), capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"ageing_time {ageing} " in done.stdout
        assert "mcast_snooping 0" in done.stdout
        assert "master br0" in done.stdout
        assert f"learning {learning}" in done.stdout


def test_a_change_carries_only_the_files_that_differ(load_text: LoadText) -> None:
    lab = load_text(CASES["web"])
    after = change_settings(lab, "one", {"port": 8080})
    before, now = render_lab(lab, run), render_lab(after, run)
    role, ready = render_changes(after.node("one"), before, now)
    assert (role.name, ready.name) == ("role web", "ready")
    assert b"/etc/nginx/sites-available/default\n" in role.stdin
    assert b"/var/www/html/index.html" not in role.stdin
    assert not role.stdin.startswith(b"first")
    assert b"sport = :8080" in ready.stdin


def test_sshd_is_started_anew_for_a_role_that_brings_its_configuration(load_text: LoadText, identity: Identity) -> None:
    file = "/etc/ssh/sshd_config.d/own.conf"
    for path, wanted in ((file, True), ("/etc/ssh/ssh_config.d/own.conf", False)):
        lab = load_text(f"nodes: {{one: {{role: host, files: {{{path}: {{content: 'Banner none', template: true}}}}}}}}\n")
        _, role, _ = render_steps(lab, lab.node("one"), identity, render_lab(lab, run), first=True)
        restart = f'if [ -e "$LABCTL_BEFORE"{path} ]; then systemctl daemon-reload; systemctl try-restart ssh.service; fi'
        assert (restart.encode() in role.stdin) is wanted
        without = load_text("nodes: {one: host}\n")
        taken_away, _ = render_changes(without.node("one"), render_lab(lab, run), render_lab(without, run))
        assert (restart.encode() in taken_away.stdin) is wanted


def test_a_change_of_nothing_is_no_step(load_text: LoadText) -> None:
    lab = load_text(CASES["web"])
    rendered = render_lab(lab, run)
    assert render_changes(lab.node("one"), rendered, render_lab(change_settings(lab, "one", {"port": 80}), run)) == ()


def ready_step(load_text: LoadText, tmp_path: Path, command: str) -> str:
    role = tmp_path / "roles" / "mine"
    role.mkdir(parents=True)
    (role / "role.yaml").write_text(f"title: {{en: mine}}\nkind: host\nready: |-\n  {command}\n")
    lab = load_text("nodes: {a: mine}\n")
    return render_steps(lab, lab.node("a"), Identity("a", "k", "p", "q", "0" * 32), render_lab(lab, run), first=True)[-1].stdin.decode()


def test_ready_waits_until_its_command_ends_with_0(load_text: LoadText, tmp_path: Path) -> None:
    script = ready_step(load_text, tmp_path, f"echo >>{tmp_path}/tries; test $(wc -l <{tmp_path}/tries) -ge 3")
    done = subprocess.run(("sh", "-s"), input=script, capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stdout) == (0, "")
    assert (tmp_path / "tries").read_text() == "\n\n\n"


def test_ready_gives_up_before_its_caller_does_and_the_last_look_speaks(load_text: LoadText, tmp_path: Path) -> None:
    script = ready_step(load_text, tmp_path, "echo 'it'\"'\"'s not there'; exit 3")
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TIMEOUT_S": "2"}
    done = subprocess.run(("sh", "-s"), input=script, capture_output=True, text=True, check=False, timeout=30, env=environment)
    assert done.returncode == 3
    assert done.stdout.startswith("it's not there\nnot ready: status 3 from echo ")

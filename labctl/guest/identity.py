"""Who a node is: its name, its neighbours' names, the names of its NICs, the keys that open it. The same for every role.

Owns the files and the script of provisioning's first step; pure. Keys are made on the host (the engine's `keys.py`): in an emulated guest
the same costs seconds. What the base image settles for all nodes alike is not repeated here.
"""

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface

from labctl.guest.bundle import GuestFile
from labctl.lab.topology import Lab, Node
from labctl.lab.uplink import NAME_SERVER


@dataclass(frozen=True)
class Identity:
    """What makes a node this node of this instance.

    `authorized_key` and the public host key are one line each; `machine_id` has 32 hex digits.
    """

    hostname: str
    authorized_key: str
    host_key_private: str
    host_key_public: str
    machine_id: str


# NICs are renamed in two rounds, since the name that one is to get may be another's; by one ip(8), since each costs 0.1 s under emulation.
# A bridge or VLAN bears the MAC of its port: only what has a device is a NIC.
NAMING = """\
nics='{nics}'
renaming() {{ # whether udev's record of the NIC of this index says that it is about to give it a name
  while read -r line; do
    [ "$line" != E:ID_RENAMING=1 ] || return 0
  done <"/run/udev/data/n$1"
  return 1
}}
find_nic() {{ # sets `now` to the name of the NIC with this MAC, to nothing while udev knows none; `begun`: it may get another name yet
  for now in /sys/class/net/*; do
    [ -e "$now/device" ] && read -r address <"$now/address" && read -r index <"$now/ifindex" || continue
    if [ "$address" = "$1" ] && [ -e "/run/udev/data/n$index" ]; then
      now=${{now##*/}} begun=no
      ! renaming "$index" || begun=yes
      return
    fi
  done 2>/dev/null
  now= begun=no
}}
nl='
'
number=0 moves= names=
for nic in $nics; do
  find_nic "${{nic%=*}}"
  until [ -n "$now" ] && [ $begun = no ]; do
    before=$begun
    if udevadm settle --timeout=10 && [ $before = yes ]; then
      find_nic "${{nic%=*}}" # udev is through with it, also where it could not give the name, since another NIC had it
      break
    fi
    find_nic "${{nic%=*}}"
    number=$((number + 1))
    if [ $number -gt 100 ]; then echo "no NIC with MAC ${{nic%=*}}" >&2; exit 1; fi
    [ -n "$now" ] || sleep 0.1
  done
  [ "$now" != "${{nic#*=}}" ] || continue
  number=$((number + 1))
  moves="${{moves}}link set dev $now down${{nl}}link set dev $now name renamed$number$nl"
  names="${{names}}link set dev renamed$number name ${{nic#*=}}$nl"
done
[ -z "$moves" ] || ip -batch - <<END
$moves$names
END
"""
SCRIPT = """\
echo {hostname} >/proc/sys/kernel/hostname
{sysctl}
[ -s /etc/machine-id ] || echo {machine_id} >/etc/machine-id
if [ -s "$LABCTL_BEFORE/etc/ssh/ssh_host_ed25519_key" ] && [ -e /run/sshd.pid ]; then systemctl try-restart ssh.service; fi
{naming}
for file in /etc/systemd/network/10-*.link; do
  name=${{file#*/10-}}
  case "$nics " in *=${{name%.link}}\\ *) ;; *) rm -f "$file" ;; esac
done
"""

# udev gives a NIC its name by the .link file, one at a time, and gives up where the name is still the kernel's for another NIC. Nodes where
# that can happen put it right before their interfaces come up.
NAMING_FILE = "/etc/network/name-interfaces"
NAMING_UNIT = f"""\
# udev cannot exchange the names of two interfaces: {NAMING_FILE} can.
[Service]
ExecStartPre=/bin/sh -eu {NAMING_FILE}
"""


def identity_files(lab: Lab, node: Node, identity: Identity) -> tuple[GuestFile, ...]:
    """The files that say who the node is."""
    return (
        _text("/etc/hostname", f"{identity.hostname}\n"),
        _text("/etc/hosts", render_hosts(lab, node)),
        _text("/etc/sysctl.d/70-node.conf", render_sysctl(node)),
        *((_text("/etc/resolv.conf", f"nameserver {NAME_SERVER}\n"),) if node.uplink else ()),
        *(_text(f"/etc/systemd/network/10-{port.name}.link", render_link(port.name, port.mac or "")) for port in node.nics),
        *_naming_files(node),
        _text("/root/.ssh/authorized_keys", f"{identity.authorized_key}\n", 0o600),
        _text("/etc/ssh/ssh_host_ed25519_key", identity.host_key_private, 0o600),
        _text("/etc/ssh/ssh_host_ed25519_key.pub", f"{identity.host_key_public}\n"),
    )


def identity_script(node: Node, identity: Identity) -> str:
    """The script that makes the running node be what its files say. A machine that booted has a machine-id of its own: it stays."""
    sysctl = "sysctl -q -p /etc/sysctl.d/70-node.conf" if node.ipv6 else ""
    return SCRIPT.format(hostname=identity.hostname, sysctl=sysctl, machine_id=identity.machine_id, naming=render_naming(node))


def render_naming(node: Node) -> str:
    """A script that gives each NIC its name, whatever names they have."""
    return NAMING.format(nics=" ".join(f"{port.mac}={port.name}" for port in node.nics))


def names_can_clash(node: Node) -> bool:
    """Whether a NIC is to have the name that the kernel gives to another: eth0 is the management NIC's at first, then in order."""
    kernel = {f"eth{number}" for number in range(len(node.nics) + 1)}
    return any(port.name in kernel and port.name != f"eth{number}" for number, port in enumerate(node.nics, 1))


def _naming_files(node: Node) -> tuple[GuestFile, ...]:
    if not names_can_clash(node):
        return ()
    unit = "/etc/systemd/system/networking.service.d/names.conf"
    return (_text(NAMING_FILE, f"# Run by {unit}, before ifup.\n{render_naming(node)}"), _text(unit, NAMING_UNIT))


def render_hosts(lab: Lab, node: Node) -> str:
    """hosts(5): every node by its first address; a node without one knows its own name nevertheless."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    if first_address(node) is None:
        lines.append(f"127.0.1.1 {node.name}")
    lines += [f"{address.ip} {other.name}" for other in lab.nodes if (address := first_address(other)) is not None]
    return "\n".join(lines) + "\n"


def first_address(node: Node) -> IPv4Interface | IPv6Interface | None:
    """The first address in the order of the lab file, `lo` last."""
    ports = sorted(node.interfaces, key=lambda port: port.name == "lo")
    return next((address for port in ports for address in port.addresses), None)


def render_link(name: str, mac: str) -> str:
    """systemd.link(5): the NIC with this MAC bears this name at every boot."""
    return f"[Match]\nMACAddress={mac}\n\n[Link]\nName={name}\n"


def render_sysctl(node: Node) -> str:
    """sysctl.d(5): what is the same for every role."""
    lines = ["# What holds for every node is in 60-quiet-wires.conf."]
    if node.ipv6:
        lines += ["", "# IPv6 with the addresses of the lab, none made up from router advertisements.", "net.ipv6.icmp.ratelimit = 0"]
        lines += [f"net.ipv6.conf.{scope}.{key} = 0" for scope in ("all", "default") for key in ("accept_ra", "autoconf", "disable_ipv6")]
    return "\n".join(lines) + "\n"


def _text(path: str, text: str, mode: int = 0o644) -> GuestFile:
    return GuestFile(path, text.encode(), mode)

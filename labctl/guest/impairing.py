"""Impairments of links in a node: netem on what leaves an interface, and the interface's MTU. Pure.

Owns the file that keeps them over a reboot, the unit that runs it, and the script that brings a running node to it. The kernel of the
host has no netem, the guests' has: so each end impairs what it sends (tc-netem(8)).
"""

import math
import shlex

from labctl.lab.impairments import Impairment
from labctl.lab.topology import Node
from labctl.lab.values import seconds_of

IMPAIR_S = 20.0
FILE = "/etc/network/impairments"
UNIT = "/etc/systemd/system/link-impairments.service"
WANTED = "/etc/systemd/system/multi-user.target.wants/link-impairments.service"
HEAD = "# What befalls frames that leave by these interfaces, tc-netem(8), and how large packets are. Written by labctl, run at boot.\n"
UNIT_TEXT = f"""\
# Impairments of links, after the interfaces are up; a node that answers has them.
[Unit]
After=networking.service
Before=qemu-guest-agent.service
ConditionPathExists={FILE}
[Service]
Type=oneshot
ExecStart=/bin/sh -eu {FILE}
"""
WAITING_FRAMES = 1000  # as txqueuelen of an Ethernet interface
FRAMES_A_SECOND = 100_000  # a delay must hold all that arrives meanwhile
MTU = 1500

# A fault of a timeline comes on time: few programs are started (each costs 50 ms under emulation), and the queue is made before its file.
# It is made anew only where its line differs: what waits in another one stays. One that a role or a person made is not ours to take.
SCRIPT = """\
set -eu
nl='
'
lines_of() {{ # sets `found` to the lines of $1 about interface $2
  found= rest=$1
  while [ -n "$rest" ]; do
    line=${{rest%%"$nl"*}} rest=${{rest#*"$nl"}}
    case $line in *" dev $2 "*) found=$found$line$nl ;; esac
  done
}}
main() {{
  before= after={after}
  [ ! -e {file} ] || while IFS= read -r line; do before=$before$line$nl; done <{file}
  for nic in {nics}; do
    lines_of "$before" "$nic"; old=$found
    lines_of "$after" "$nic"; new=$found
    [ -n "$old$new" ] || continue
    queue=$(tc qdisc show dev "$nic" root)
    case $queue in
      ''|*' noop '*|*' noqueue '*|*' pfifo_fast '*|*' fq_codel '*|*' mq '*|*' pfifo '*) there=no ;;
      *' netem '*) there=yes ;;
      *) there=other ;;
    esac
    [ "$old" != "$new" ] || [ $there = no ] || continue
    case $there$new in other*netem*) echo "$nic has a queue of its own: $queue"; exit 1 ;; esac
    [ $there != yes ] || tc qdisc del dev "$nic" root
    case "$old $new" in *' mtu '*) case $new in *' mtu '*) ;; *) ip link set dev "$nic" mtu {mtu} ;; esac ;; esac
    eval "$new"
  done
  if [ -n "$after" ]; then
    printf '%s' "$after" >{file}
    printf '%s' {unit_text} >{unit}
    [ -L {wanted} ] || ln -sf {unit} {wanted}
    sync {file} {unit}
  elif [ -n "$before" ]; then
    rm -f {file} {unit} {wanted}
  fi
}}
main </dev/null
"""


def render_impairing(node: Node) -> str:
    """A script that makes the running node, and its next boots, impair what the lab says and nothing else. It may run again."""
    return SCRIPT.format(
        file=FILE,
        nics=" ".join(port.name for port in node.nics) or "''",
        mtu=MTU,
        unit=UNIT,
        wanted=WANTED,
        after=shlex.quote(render_impairments(node)),
        unit_text=shlex.quote(UNIT_TEXT),
    )


def render_impairments(node: Node) -> str:
    """The file; empty for a node without impairments."""
    lines = [line for port in node.nics for line in impairment_lines(port.name, port.impairment)]
    return HEAD + "".join(f"{line}\n" for line in lines) if lines else ""


def impairment_lines(interface: str, impairment: Impairment) -> tuple[str, ...]:
    """Commands that do it, after a boot; each names the interface between blanks, behind `dev`."""
    queue = _netem(impairment)
    lines = [f"tc qdisc add dev {interface} root netem {queue}"] if queue else []
    return (*lines, *((f"ip link set dev {interface} mtu {impairment.mtu}",) if impairment.mtu else ()))


def _netem(impairment: Impairment) -> str:
    """netem's words, in the order of its man page; empty for nothing."""
    words = []
    if impairment.delay is not None:
        words.append(f"delay {_ms(impairment.delay)}" + (f" {_ms(impairment.jitter)}" if impairment.jitter else ""))
    words += [f"{key} {value}" for key in ("loss", "corrupt", "duplicate", "reorder", "rate") if (value := getattr(impairment, key))]
    if not words:
        return ""
    waiting = WAITING_FRAMES + (math.ceil(seconds_of(impairment.delay) * FRAMES_A_SECOND) if impairment.delay else 0)
    return " ".join([f"limit {waiting}", *words])


def _ms(duration: str) -> str:
    """tc knows no minutes, and takes a number without a unit for microseconds."""
    return f"{seconds_of(duration) * 1000:g}ms"

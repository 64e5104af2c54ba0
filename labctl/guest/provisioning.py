"""What makes a node into its role: steps, each one script and one round trip of the guest agent. Pure.

    identity     name, neighbours, NICs, keys               role         files and the role's own script
    ready        the role's command, until it holds         impairments  what its links do to frames

Owns the order of steps and their deadlines (made for KVM: the caller's to scale). Texts come rendered (`guest/rendering.py`); how files
travel is `guest/bundle.py`'s; who carries steps out is the engine.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labctl.guest.bundle import ARGV, GuestFile, render_bundle
from labctl.guest.identity import Identity, identity_files, identity_script
from labctl.guest.impairing import IMPAIR_S, render_impairing
from labctl.guest.rendering import RenderedFile, RenderedNode
from labctl.lab.topology import Lab, Node

IDENTITY_S = 20.0
NIC_S = 3.0  # udev's work on one NIC that was just plugged in
ROLE_S = 90.0
READY_S = 60.0
SHELL = ("/bin/sh", "-s")
SSHD_READS = ("/etc/ssh/sshd_config", "/etc/default/ssh", "/etc/systemd/system/ssh.service.d/")  # and what is below /etc/ssh/sshd_config.d

# The caller may say in TIMEOUT_S how long it will really wait; the last look speaks, so it must come before the caller gives up.
READY_FRAME = """\
main() {{
  seconds() {{ read -r up _ </proc/uptime; echo "${{up%.*}}"; }}
  limit=${{TIMEOUT_S:-{timeout_s:g}}}
  last=$(($(seconds) + ${{limit%.*}} * 9 / 10))
  ready() {{
{command}
  }}
  until said=$( (ready) 2>&1); do
    status=$?
    if [ "$(seconds)" -ge "$last" ]; then
      echo "$said"
      echo "not ready: status $status from" {quoted}
      exit "$status"
    fi
    sleep 0.2
  done
}}
main </dev/null
"""


@dataclass(frozen=True)
class Step:
    """One round trip: `program` is run as root, with `stdin` on its standard input."""

    name: str
    stdin: bytes
    timeout_s: float
    program: tuple[str, ...] = ARGV


def render_steps(lab: Lab, node: Node, identity: Identity, rendered: Mapping[str, RenderedNode], *, first: bool) -> tuple[Step, ...]:
    """All steps that make `node` what the lab says, `first` after its first boot. They may run again at any time."""
    texts = rendered[node.name]
    who = render_bundle(f"{node.name}: identity", identity_files(lab, node, identity), identity_script(node, identity), first=first)
    files = tuple(_guest_file(file) for file in texts.files)
    apply = texts.apply + _restart_sshd([file.path for file in files])
    role = render_bundle(f"{node.name}: role {node.role.name}", files, apply, first=first)
    steps = (Step("identity", who, IDENTITY_S + NIC_S * len(node.nics)), Step(f"role {node.role.name}", role, ROLE_S), *_ready(texts))
    if first and not any(port.impairment for port in node.nics):
        return steps
    return (*steps, Step("impairments", render_impairing(node).encode(), IMPAIR_S, SHELL))


def render_changes(node: Node, before: Mapping[str, RenderedNode], after: Mapping[str, RenderedNode]) -> tuple[Step, ...]:
    """Steps that bring a running node from one rendering to another: the files that differ, and the role's script. None if none does."""
    old, new = before[node.name], after[node.name]
    if old == new:
        return ()
    changed = tuple(_guest_file(file) for file in new.files if file not in old.files)
    gone = sorted({file.path for file in old.files} - {file.path for file in new.files})
    apply = new.apply + _restart_sshd([*(file.path for file in changed), *gone])
    script = render_bundle(f"{node.name}: role {node.role.name}", changed, apply, first=False, removed=gone)
    return (Step(f"role {node.role.name}", script, ROLE_S), *_ready(new))


def render_ready(node: Node, rendered: Mapping[str, RenderedNode]) -> tuple[Step, ...]:
    """The step that waits until the role of `node` works, after a boot; none if it says nothing of that."""
    return _ready(rendered[node.name])


def render_for_worker(step: Step, timeout_s: float) -> bytes:
    """The same step as `guest/worker` takes it; `timeout_s` is how long the caller will really wait."""
    if step.program == ARGV:
        return step.stdin
    return render_bundle(step.name, (), f"set +eu\nTIMEOUT_S={timeout_s:g}\n{step.stdin.decode()}", first=False)


def _restart_sshd(paths: Sequence[str]) -> str:
    """Shell lines for the end of a script that writes or removes `paths`: sshd may run already, with its configuration as it was."""
    read = [shlex.quote(path) for path in paths if path.startswith(SSHD_READS)]
    if not read:
        return ""
    changed = " || ".join(f'[ -e "$LABCTL_BEFORE"{path} ]' for path in read)
    return f"\nif {changed}; then systemctl daemon-reload; systemctl try-restart ssh.service; fi\n"


def _guest_file(file: RenderedFile) -> GuestFile:
    return GuestFile(file.path, file.content.encode(), file.mode)


def _ready(texts: RenderedNode) -> tuple[Step, ...]:
    if not texts.ready:
        return ()
    script = READY_FRAME.format(timeout_s=READY_S, command=texts.ready, quoted=shlex.quote(texts.ready.strip()))
    return (Step("ready", script.encode(), READY_S, SHELL),)

"""Provisioning of running nodes: renders what the lab says, carries the steps out by the agent.

Owns the meeting of `guest/provisioning` (what to do) and the node's agent (who does it). One round trip for each step; a step that fails
names node, step, status and the last lines it printed, and the machine stays up for a look.
"""

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from labctl.engine.keys import host_key, user_key
from labctl.engine.session import Session
from labctl.errors import StepError
from labctl.guest.identity import Identity
from labctl.guest.provisioning import Step, render_changes, render_for_worker, render_ready, render_steps
from labctl.guest.rendering import RenderedNode, render_lab
from labctl.guest.worker import Worker
from labctl.host.run import run
from labctl.lab.topology import Lab, Node

LAST_LINES = 12
END_S = 15.0
Rendered = Mapping[str, RenderedNode]


def render(lab: Lab, nodes: Sequence[str] | None = None) -> Rendered:
    """The texts of all nodes, or of `nodes`; `LoadError` holds every fault of the lab's and the roles' templates."""
    return render_lab(lab, run, None if nodes is None else [lab.node(name) for name in nodes])


def provision_node(
    session: Session, lab: Lab, node: Node, rendered: Rendered, *, first: bool, worker: Worker | None = None
) -> None:  # fmt: skip
    """Make a running machine what the lab says it is, by the `worker` that waits in a copy, or by one for this work alone."""
    identity = identity_of(session.record.directory, node.name)
    steps = render_steps(lab, node, identity, rendered, first=first)
    if worker is not None:
        return _carry_out(session, node.name, steps, worker)
    with session.start_worker(node.name) as own:
        _carry_out(session, node.name, steps, own)
        own.do("end", timeout_s=session.deadline(END_S))


def change_node(session: Session, before: Lab, after: Lab, node: str) -> None:
    """Bring a running node from its settings in `before` to those in `after`."""
    steps = render_changes(after.node(node), render(before, (node,)), render(after, (node,)))
    _carry_out(session, node, steps)


def wait_until_role_works(session: Session, lab: Lab, node: str) -> None:
    """Return once the role of a node that was booted says that it is ready; `StepError` with its last words if it does not in time."""
    _carry_out(session, node, render_ready(lab.node(node), render(lab, (node,))))


def identity_of(directory: Path, node: str) -> Identity:
    """The node's identity; its keys were made before."""
    private = host_key(directory, node)
    return Identity(
        hostname=node,
        authorized_key=user_key(directory).with_suffix(".pub").read_text().strip(),
        host_key_private=private.read_text(),
        host_key_public=private.with_suffix(".pub").read_text().strip(),
        machine_id=uuid.uuid4().hex,
    )


def _carry_out(session: Session, node: str, steps: Sequence[Step], worker: Worker | None = None) -> None:
    agent = session.agent(node)
    for step in steps:
        timeout_s = session.deadline(step.timeout_s)
        if worker is None:
            done = agent.run(step.program, stdin=step.stdin, timeout_s=timeout_s, env={"TIMEOUT_S": f"{timeout_s:g}"})
        else:
            done = worker.do("step", render_for_worker(step, timeout_s), timeout_s=timeout_s)
        if done.status != 0:
            said = b"\n".join((done.stdout.strip(), done.stderr.strip())).decode(errors="replace").strip().splitlines()[-LAST_LINES:]
            raise StepError(
                f"{node}: step '{step.name}' ended with status {done.status}",
                why="\n".join(said) or "it printed nothing",
                hint=f"the machine is up: labctl ssh {node}",
            )

"""Renews what two copies of one machine must not share, before the copy is called ready.

Owns the two ways there: the program goes to a perl that was already waiting for it when the machine was saved, or a new one is started.
What the program does is `guest/renewal`'s.
"""

import secrets
import time

from labctl.engine.provision import identity_of
from labctl.engine.session import Session
from labctl.engine.waiting import wait_until
from labctl.errors import StepError
from labctl.guest.renewal import ARGV, FIFO, RENEW_S, SEED_BYTES, WAITER, WAITS, render_renewal
from labctl.lab.topology import Lab

ANSWER_S = 15.0


def prepare_renewal(session: Session, name: str) -> int:
    """Let the machine, which is about to be saved, wait for its renewal: the process id of who waits."""
    agent = session.agent(name)
    pid = agent.start(WAITER)
    limit = session.deadline(ANSWER_S)
    wait_until(f"{name} waits for its renewal", lambda: agent.run(WAITS, timeout_s=limit).status == 0, timeout_s=limit, every_s=0.05)
    return pid


def renew(session: Session, lab: Lab, name: str, waiting: int | None) -> None:
    """Renew the copy `name`; `waiting` is what `prepare_renewal` gave for the machine that it is a copy of."""
    identity = identity_of(session.record.directory, name)
    role = lab.node(name).role
    own = role.texts.get(role.file.renew, role.file.renew) if role.file.renew else ""
    agent = session.agent(name)
    agent.wait_until_up(session.deadline(ANSWER_S), every_s=0.02)
    program = render_renewal(identity, now=time.time(), seed=secrets.token_bytes(SEED_BYTES), role=own)
    if waiting is None:
        done = agent.run(ARGV, stdin=program, timeout_s=session.deadline(RENEW_S))
    else:
        agent.write(FIFO, program)
        done = agent.finish(waiting, "renewal", timeout_s=session.deadline(RENEW_S))
    if done.status != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise StepError(f"{name}: its secrets could not be renewed", why=said[-500:], hint=f"labctl reset {name}")

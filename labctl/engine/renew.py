"""Renews what two copies of one machine must not share, before the copy is called ready.

Owns the two ways there: the program goes to a perl that was already waiting for it when the machine was saved, or a new one is started.
What the program does is `guest/renewal`'s.
"""

import secrets
import time
from collections.abc import Callable

from labctl.engine.provision import identity_of
from labctl.engine.session import Session
from labctl.errors import StepError
from labctl.guest.renewal import ARGV, RENEW_S, RENEWED, SEED_BYTES, WAITER, WAITING, for_the_port, is_last_word, render_renewal
from labctl.host.domain_xml import renewal_socket
from labctl.host.guest_port import open_port
from labctl.lab.topology import Lab

ANSWER_S = 15.0


def prepare_renewal(session: Session, name: str) -> None:
    """Let the machine, which is about to be saved, wait for its renewal."""
    with open_port(session.record.run_directory / renewal_socket(name), name) as port:
        session.agent(name).start(WAITER)
        port.lines_until(WAITING.__eq__, timeout_s=session.deadline(ANSWER_S))


def renew_waiting(session: Session, lab: Lab, name: str, resume: Callable[[], None]) -> None:
    """Renew the copy `name`, which stands still until `resume`, of a machine that waits for it: it finds all there when it runs."""
    with open_port(session.record.run_directory / renewal_socket(name), name) as port:
        port.send(for_the_port(_program(session, lab, name)), timeout_s=session.deadline(ANSWER_S))
        resume()
        *said, last = port.lines_until(is_last_word, timeout_s=session.deadline(RENEW_S))
    if last != RENEWED:
        _refuse(name, b"\n".join((*said, last)))


def renew(session: Session, lab: Lab, name: str) -> None:
    """Renew the copy `name`, which runs, of a machine that ran on when it was saved."""
    agent = session.agent(name)
    agent.wait_until_up(session.deadline(ANSWER_S), every_s=0.02)
    done = agent.run(ARGV, stdin=_program(session, lab, name), timeout_s=session.deadline(RENEW_S))
    if done.status != 0:
        _refuse(name, done.stderr or done.stdout)


def _program(session: Session, lab: Lab, name: str) -> bytes:
    identity = identity_of(session.record.directory, name)
    role = lab.node(name).role
    own = role.texts.get(role.file.renew, role.file.renew) if role.file.renew else ""
    return render_renewal(identity, now=time.time(), seed=secrets.token_bytes(SEED_BYTES), role=own)


def _refuse(name: str, said: bytes) -> None:
    why = said.decode(errors="replace").strip()
    raise StepError(f"{name}: its secrets could not be renewed", why=why[-500:], hint=f"labctl reset {name}")

"""Renews what two copies of one machine must not share, before the copy is called ready.

Owns how a machine that is to be saved is made to wait for it, and how that is called off. What is renewed is `guest/renewal`'s.
"""

import contextlib
import secrets
import time
from collections.abc import Callable

from labctl.engine.provision import identity_of
from labctl.engine.session import Session
from labctl.errors import StepError
from labctl.guest.agent import Completed
from labctl.guest.renewal import RENEW_S, SEED_BYTES, render_renewal
from labctl.guest.worker import PID_FILE
from labctl.lab.topology import Lab

ANSWER_S, LET_GO_S = 15.0, 5.0
WAITS = ("/usr/bin/test", "-e", PID_FILE)


def prepare_renewal(session: Session, name: str, *, start: bool = False) -> None:
    """Let the machine, which is about to be saved, and its journald wait for its renewal; `start` the worker where none waits yet."""
    with session.start_worker(name) if start else session.worker(name) as worker:
        _need(name, worker.do("hold", timeout_s=session.deadline(ANSWER_S)))


def call_off_renewal(session: Session, name: str) -> None:
    """The machine runs on as it is, and nobody waits in it any more. One that is not there or does not answer is no matter now."""
    limit = session.deadline(LET_GO_S)
    with contextlib.suppress(StepError):
        if session.agent(name).run(WAITS, timeout_s=limit).status == 0:
            with session.worker(name) as worker:
                worker.do("end", timeout_s=limit)


def renew(session: Session, lab: Lab, name: str, resume: Callable[[], None]) -> None:
    """Renew the copy `name`, which stands still until `resume`, of a machine that waits for it: it finds all there when it runs."""
    with session.worker(name) as worker:
        number = worker.give("renew", _program(session, lab, name), timeout_s=session.deadline(ANSWER_S))
        resume()
        _need(name, worker.answer(number, timeout_s=session.deadline(RENEW_S)))


def _program(session: Session, lab: Lab, name: str) -> bytes:
    identity = identity_of(session.record.directory, name)
    role = lab.node(name).role
    own = role.texts.get(role.file.renew, role.file.renew) if role.file.renew else ""
    return render_renewal(identity, now=time.time(), seed=secrets.token_bytes(SEED_BYTES), role=own)


def _need(name: str, done: Completed) -> None:
    if done.status != 0:
        why = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise StepError(f"{name}: its secrets could not be renewed", why=why[-500:], hint=f"labctl reset {name}")

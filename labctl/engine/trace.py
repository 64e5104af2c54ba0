"""`trace`: sends one recognisable packet or connection from a node and finds it on every cable of the lab.

Owns sending and capturing: each wire where a frame leaves a node, so that each cable tells of a frame once, and from which side. How the
packet is recognised is `check/tracing.py`'s.
"""

import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from typing import IO

from labctl.check.ask import LOOK_S, question
from labctl.check.decoding import Packet, decode_argv, parse_row
from labctl.check.frames import SETTINGS
from labctl.check.pcapng import PcapReader, render_head, render_record
from labctl.check.readable import last_line
from labctl.check.routes import address_of
from labctl.check.tracing import Trace, display_filter, follow, render_stimulus
from labctl.engine.capture import capture, file_in_memory, path_of
from labctl.engine.events import Reporter, step
from labctl.engine.running import RunningLab
from labctl.engine.session import Session
from labctl.engine.stimulus import ask_node
from labctl.errors import StepError, UsageError
from labctl.host.run import clean_environment, run
from labctl.lab.addresses import parse_address
from labctl.lab.words import meant

DECODE_S = 60.0
WAIT_S = 2


def trace(session: Session, target: RunningLab, source: str, to: str, by: str, report: Reporter) -> Trace:
    """Follow one packet. `UsageError` for a node or address that is none, `StepError` if it cannot be sent or captured."""
    record = session.record
    record.node(source)
    address = _address(target, to)
    if not record.cables:
        raise UsageError(f"{record.id} has no cables", hint="a packet is seen on cables")
    far = {end: other for a, b in record.cables for end, other in ((a, b), (b, a))}
    token = secrets.token_hex(8)
    wait_s = max(1, round(WAIT_S * min(target.time_scale, 4)))
    with ExitStack() as stack:
        files = {end: stack.enter_context(file_in_memory(end)) for end in far}
        with step(report, f"send {by} from {source} to {to}"), capture(record, files, sent=True):
            asked = question(source, render_stimulus(by, address, token, wait_s), LOOK_S * target.time_scale)
            answer = ask_node(target, asked)
        if answer.trouble is not None and not answer.late:
            raise StepError(f"nothing could be sent from {source}", why=answer.trouble.en)
        with step(report, "find it on every cable"):
            found = _decode(files, display_filter(by, token))
    said = last_line(answer.stderr) or last_line(answer.stdout) or f"status {answer.status}"
    return Trace(source, to, address, by, answer.status == 0, said, follow(found, by, source, far))


def _address(target: RunningLab, to: str) -> str:
    address = address_of(to, target.lab)
    try:
        return str(parse_address(address))
    except ValueError:
        nodes = [node.name for node in target.lab.nodes]
        if to in nodes:
            raise UsageError(f"{to} has no address", hint="name an address instead") from None
        raise UsageError(f"'{to}' is no node and no address", hint=meant(to, nodes)) from None


def _decode(files: Mapping[str, IO[bytes]], matching: str) -> list[Packet]:
    names = list(files)
    frames = [frame for number, name in enumerate(names) for frame in PcapReader(number).feed(path_of(files[name]).read_bytes())]
    with file_in_memory("all.pcapng") as merged:
        merged.write(render_head(names) + b"".join(map(render_record, sorted(frames))))
        merged.flush()
        done = run(decode_argv(str(path_of(merged)), matching), env=clean_environment(SETTINGS), timeout_s=DECODE_S)
    return [packet for row in done.text.splitlines() if (packet := parse_row(row)) is not None]

"""How a renewal goes: what it is sent, what a guest may say, and what is kept of it, since a report carries that to other people."""

import base64
import contextlib
import socket
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from labctl.engine.instances import InstanceRecord
from labctl.engine.keys import host_key, make_keys
from labctl.engine.renew import renew, renew_waiting
from labctl.engine.session import Session
from labctl.errors import StepError, TimedOut
from labctl.host.domain_xml import worker_socket
from labctl.host.guest_port import LONGEST_LINE, open_port
from labctl.lab.load import find_lab, load_lab
from tests.unit.engine.test_instances import made
from tests.unit.guest.test_agent import Script

ENDED = {"exited": True, "exitcode": 0}


@dataclass(frozen=True)
class OneChannel:
    """A hypervisor as far as a renewal knows it."""

    script: Script

    def channel(self, name: str) -> Script:
        return self.script


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InstanceRecord:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    record = made("l2-switch")
    make_keys(record.directory, ("pc1",))
    return record


def test_neither_seed_nor_keys_of_a_renewal_are_kept(record: InstanceRecord) -> None:
    script = Script({}, {"pid": 7}, ENDED)
    renew(Session(record, OneChannel(script)), load_lab(find_lab("l2-switch")), "pc1")  # type: ignore[arg-type]
    (sent,) = [words["input-data"] for asked in script.asked if "input-data" in (words := asked.get("arguments") or {})]
    program = base64.b64decode(sent).decode()
    seed, private = program.split()[2], host_key(record.directory, "pc1").read_text().splitlines()[1]
    assert (len(seed), private in program) == (128, True)
    kept = (record.directory / "log" / "agent-pc1.jsonl").read_text()
    assert f"({len(program)} characters of provisioning)" in kept
    assert not [secret for secret in (sent[:40], seed[:20], private[:20]) if secret in kept]


class Machine:
    """The other end of a port: reads a piece of work, then says `said`; closes the port if that is None."""

    def __init__(self, place: Path, said: bytes | None) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(place))
        self._socket.listen()
        self.kind, self.program = b"", b""
        self.resumed = threading.Event()
        self._said = said
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        connection, _ = self._socket.accept()
        with connection, connection.makefile("rb") as reader, contextlib.suppress(ConnectionError):
            kind, length = reader.readline().split()
            self.kind, self.program = kind, reader.read(int(length))
            if self._said is not None and self.resumed.wait(10):
                connection.sendall(self._said)
                reader.read(1)  # until the other end goes

    def close(self) -> None:
        self._thread.join(10)
        self._socket.close()


def renewed(record: InstanceRecord, said: bytes | None) -> Machine:
    machine = Machine(record.run_directory / worker_socket("pc1"), said)
    try:
        session = Session(record, OneChannel(Script()))  # type: ignore[arg-type]
        renew_waiting(session, load_lab(find_lab("l2-switch")), "pc1", machine.resumed.set)
    finally:
        machine.close()
    return machine


def test_a_copy_that_waits_has_its_renewal_before_it_runs(record: InstanceRecord) -> None:
    machine = renewed(record, b"0 0\n")
    assert machine.kind == b"renew"
    assert host_key(record.directory, "pc1").read_bytes().splitlines()[1] in machine.program
    assert not (record.directory / "log" / "agent-pc1.jsonl").exists(), "nothing of it is kept"


REFUSALS: dict[str, tuple[bytes | None, str]] = {
    "it says why": (b"255 40\n/etc/machine-id: No space left on device", "No space"),
    "it ends": (None, "has ended"),
    "it says too much": (b"x" * (LONGEST_LINE + 5000), "too much"),
    "it says nonsense": (b"renewed\n", "nonsense"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_renewal_that_fails_is_told(case: str, record: InstanceRecord) -> None:
    said, expected = REFUSALS[case]
    with pytest.raises(StepError) as refused:
        renewed(record, said)
    assert expected in f"{refused.value} {refused.value.why}"


def test_a_machine_that_says_nothing_is_not_waited_for_longer_than_its_time(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "port", b"")
    with open_port(tmp_path / "port", "pc1") as port:
        port.send(b"end 0\n", timeout_s=1)
        with pytest.raises(TimedOut, match=r"within 0\.2 s"):
            port.read_line(timeout_s=0.2)
    machine.resumed.set()
    machine.close()


def test_a_machine_that_is_not_there_has_no_port(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="cannot be reached"), open_port(tmp_path / "port", "pc1"):
        pass

"""How a renewal goes: what it is sent and when, what a guest may say, and that nothing of it is kept."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.engine.instances import InstanceRecord
from labctl.engine.keys import host_key, make_keys
from labctl.engine.renew import renew
from labctl.engine.session import Session
from labctl.errors import StepError, TimedOut
from labctl.host.domain_xml import worker_socket
from labctl.host.guest_port import LONGEST_LINE, open_port
from labctl.lab.load import find_lab, load_lab
from tests.unit.engine.test_instances import made


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InstanceRecord:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    record = made("l2-switch")
    make_keys(record.directory, ("pc1",))
    return record


class Machine:
    """The other end of a port. Once it is resumed it answers as `said` makes of the number, or ends if that is None."""

    def __init__(self, place: Path, said: Callable[[bytes], bytes] | None) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(place))
        self._socket.listen()
        self.kind, self.program = b"", b""
        self.received, self.resumed = threading.Event(), threading.Event()
        self._said = said
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        connection, _ = self._socket.accept()
        with connection, connection.makefile("rb") as reader, contextlib.suppress(ConnectionError):
            self.kind, number, length = reader.readline().split()
            self.program = reader.read(int(length))
            self.received.set()
            if self._said is not None and self.resumed.wait(10):
                connection.sendall(self._said(number))
                reader.read(1)  # until the other end goes

    def resume(self) -> None:
        assert self.received.wait(10), "what it is to do is there before it runs"
        self.resumed.set()

    def close(self) -> None:
        self.resumed.set()
        self._thread.join(10)
        self._socket.close()


def renewed(record: InstanceRecord, said: Callable[[bytes], bytes] | None) -> Machine:
    machine = Machine(record.run_directory / worker_socket("pc1"), said)
    try:
        renew(Session(record, None), load_lab(find_lab("l2-switch")), "pc1", machine.resume)  # type: ignore[arg-type]
    finally:
        machine.close()
    return machine


def test_a_copy_has_its_renewal_before_it_runs(record: InstanceRecord) -> None:
    machine = renewed(record, lambda number: number + b" 0 0\n")
    assert machine.kind == b"renew"
    assert host_key(record.directory, "pc1").read_bytes().splitlines()[1] in machine.program
    assert not (record.directory / "log" / "agent-pc1.jsonl").exists(), "nothing of it is kept"


REFUSALS: dict[str, tuple[Callable[[bytes], bytes] | None, str]] = {
    "it says why": (lambda number: number + b" 255 40\n/etc/machine-id: No space left on device", "No space"),
    "it ends": (None, "has ended"),
    "it says too much": (lambda _: b"x" * (LONGEST_LINE + 5000), "too much"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_renewal_that_fails_is_told(case: str, record: InstanceRecord) -> None:
    said, expected = REFUSALS[case]
    with pytest.raises(StepError) as refused:
        renewed(record, said)
    assert expected in f"{refused.value} {refused.value.why}"


def test_a_machine_that_says_nothing_is_not_waited_for_longer_than_its_time(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "port", lambda _: b"")
    with open_port(tmp_path / "port", "pc1") as port:
        port.send(b"end 1 0\n", timeout_s=1)
        with pytest.raises(TimedOut, match=r"within 0\.2 s"):
            port.read_line(timeout_s=0.2)
    machine.close()


def test_nor_is_one_that_says_it_a_byte_at_a_time(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket(socket.AF_UNIX))
        listening.bind(str(tmp_path / "port"))
        listening.listen()
        port = stack.enter_context(open_port(tmp_path / "port", "pc1"))
        guest = stack.enter_context(listening.accept()[0])
        dripping = threading.Thread(target=_drip, args=(guest,), daemon=True)
        dripping.start()
        began = time.monotonic()
        with pytest.raises(TimedOut):
            port.read(1000, timeout_s=0.3)
        assert time.monotonic() - began < 3
    dripping.join(10)


def _drip(guest: socket.socket) -> None:
    with contextlib.suppress(OSError):
        for _ in range(1000):
            guest.sendall(b"x")
            time.sleep(0.005)


def test_a_machine_that_is_not_there_has_no_port(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="cannot be reached"), open_port(tmp_path / "port", "pc1"):
        pass

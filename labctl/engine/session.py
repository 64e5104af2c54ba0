"""A way into a running instance: its libvirtd (started again if it died), its nodes' agents, its namespaces.

Owns how the rooms `host` and `guest` are introduced to each other. Opened for one command and closed after it; keeps nothing.
"""

import base64
import contextlib
import itertools
import json
import reprlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from labctl.engine.instances import InstanceRecord
from labctl.engine.waiting import wait_until
from labctl.errors import AgentError, HostError, HypervisorError, LabError, NoRoom, StepError, TimedOut, UsageError
from labctl.guest.agent import Agent, AgentChannel
from labctl.guest.worker import SERVE, STARTED_S, Worker, new_number
from labctl.host.domain_xml import worker_socket
from labctl.host.guest_port import open_port
from labctl.host.hypervisor import Hypervisor, NoAnswer, open_hypervisor
from labctl.host.locks import is_pid_file_held
from labctl.host.namespace import inside, inside_environment
from labctl.host.places import libvirt_cache_directory
from labctl.host.room import need_room
from labctl.host.run import clean_environment, run
from labctl.host.unix_socket import connected
from labctl.lab.data import TEMPLATES

SOCKET_S = 20.0
AGAIN_S = 0.2
TRANSCRIPT_LIMIT, TRANSCRIPT_ENTRIES = 400, 40
STARTED_BY_ANOTHER = "pidfile"  # a `status` that came between, say, found an instance without libvirtd and started it
ENCODED = ("input-data", "buf-b64", "out-data", "err-data")
QEMU_CONF = """# written by labctl for this instance
stdio_handler = "file"
security_driver = "none"
namespaces = [ ]
max_core = 0
"""
LIBVIRTD_CONF = """# written by labctl for this instance
log_outputs = "2:file:{short}/log/libvirtd.log"
keepalive_interval = -1
max_clients = 200
"""


class Transcript:
    """An agent channel that keeps what was asked and answered, each cut to a few hundred characters: for whoever looks into a red lab."""

    def __init__(self, channel: AgentChannel, file: Path) -> None:
        self._channel = channel
        self._file = file

    def send(self, request: dict[str, Any], *, timeout_s: float) -> Any:
        began = time.monotonic()
        answer: Any = None
        try:
            answer = self._channel.send(request, timeout_s=timeout_s)
        except LabError as failed:
            answer = f"{failed}"
            raise
        finally:
            if request.get("execute") != "guest-exec-status" or not isinstance(answer, dict) or answer.get("exited"):
                self._write({"asked": _short(request), "answered": _short(answer), "seconds": round(time.monotonic() - began, 3)})
        return answer

    def _write(self, entry: dict[str, Any]) -> None:
        with contextlib.suppress(OSError), self._file.open("a") as file:  # a full disk must not end a lab
            file.write(json.dumps({"time": round(time.time(), 3), **entry}) + "\n")


def _short(value: Any, depth: int = 4) -> Any:
    """`value` for the transcript: long texts, long lists and deep data cut, what travels as base64 decoded. A guest may say anything."""
    if isinstance(value, dict | list) and not depth:
        return "…"
    if isinstance(value, dict):
        known = itertools.islice(value.items(), TRANSCRIPT_ENTRIES)
        return {key[:TRANSCRIPT_LIMIT]: _decoded(item) if key in ENCODED else _short(item, depth - 1) for key, item in known}
    if isinstance(value, list):
        return [_short(item, depth - 1) for item in value[:TRANSCRIPT_ENTRIES]]
    if isinstance(value, str):
        return value[:TRANSCRIPT_LIMIT]
    return value if isinstance(value, bool | float | None) or abs(value) < 1 << 64 else "…"


def _decoded(value: Any) -> str:
    try:
        text = base64.b64decode(value).decode(errors="replace") if isinstance(value, str) else reprlib.repr(value)
    except ValueError:
        text = value
    secret = "PRIVATE KEY" in text or "base64 -d" in text
    return f"({len(text)} characters of provisioning)" if secret else text[:TRANSCRIPT_LIMIT]


class Session:
    """One instance, open: `hypervisor` for its domains, `agent(node)` for its guests, `argv_inside` for its wires."""

    def __init__(self, record: InstanceRecord, hypervisor: Hypervisor) -> None:
        self.record = record
        self.hypervisor = hypervisor

    def agent(self, node: str) -> Agent:
        return Agent(Transcript(self.hypervisor.channel(node), self.record.directory / "log" / f"agent-{node}.jsonl"), node)

    @contextlib.contextmanager
    def worker(self, node: str) -> Iterator[Worker]:
        """The program that waits in a copy of a saved machine, or is about to; its answers are in no transcript, since it gets secrets."""
        with open_port(self.record.run_directory / worker_socket(node), node) as port:
            yield Worker(port, node)

    @contextlib.contextmanager
    def start_worker(self, node: str) -> Iterator[Worker]:
        """The same in a machine in which none waits yet: its agent starts it. It stays until it is told to end."""
        with self.worker(node) as worker:
            greeting, agent = new_number(), self.agent(node)
            pid = agent.start((*SERVE, greeting))
            try:
                worker.answer(greeting, timeout_s=self.deadline(STARTED_S))
            except StepError as silent:
                with contextlib.suppress(AgentError, TimedOut):
                    said = agent.finish(pid, "labctl's program", timeout_s=1).stderr.decode(errors="replace").strip()
                    silent.why = said[-300:] or silent.why
                raise
            yield worker

    def deadline(self, seconds: float) -> float:
        """A deadline made for KVM, as long as this machine needs it."""
        return seconds * self.record.time_scale


def argv_inside(record: InstanceRecord, argv: Sequence[str]) -> tuple[str, ...]:
    """The argument tuple that runs `argv` in the instance's namespaces; `UsageError` if it is not running."""
    record.need_running()
    return inside(record.first, argv)


def environment_inside(record: InstanceRecord) -> dict[str, str]:
    return inside_environment(record.short, libvirt_cache_directory())


def start_libvirtd(record: InstanceRecord) -> None:
    """Start the instance's own libvirtd; it finds the QEMUs of one that died before it."""
    libvirt_cache_directory().mkdir(parents=True, exist_ok=True)
    config = record.directory / "config" / "libvirt"
    try:
        config.mkdir(exist_ok=True)  # never the directories above: another labctl may have taken the instance down
        (config / "qemu.conf").write_text(QEMU_CONF)
        (config / "libvirtd.conf").write_text(LIBVIRTD_CONF.format(short=record.short))
    except FileNotFoundError as gone:
        raise UsageError(f"{record.id} is not there any more", hint=f"labctl up {record.lab}") from gone
    result = run(argv_inside(record, ("libvirtd", "-d")), env=environment_inside(record), timeout_s=60, check=False)
    if result.status != 0 and STARTED_BY_ANOTHER not in result.complaint:
        raise HostError("libvirtd does not start", why=result.complaint, hint="labctl doctor")
    wait_until("libvirtd listens", lambda: _has_started(record), timeout_s=SOCKET_S * record.time_scale, every_s=0.01)


def _has_started(record: InstanceRecord) -> bool:
    """Whether libvirtd listens. It calls itself started before it has its drivers: `HostError` if it then ended, for want of room, say."""
    sockets = record.run_directory / "libvirt"
    if _listens(sockets):
        return True
    if any(is_pid_file_held(file) for file in sockets.glob("*.pid")):
        return False
    need_room(record.directory, 1, "what libvirtd writes")
    log = record.directory / "log" / "libvirtd.log"
    said = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    raise HostError("libvirtd ended as it started", why="\n".join(said[-3:]), hint="labctl doctor")


def _listens(directory: Path) -> bool:
    """Whether somebody accepts on libvirt's socket: the file is there before that."""
    with contextlib.suppress(OSError), connected(directory / "libvirt-sock"):
        return True
    return False


@contextlib.contextmanager
def open_session(record: InstanceRecord) -> Iterator[Session]:
    """Open a running instance. `UsageError` if it is not running; a dead libvirtd is started again first."""
    record.need_running()
    with contextlib.ExitStack() as stack:
        hypervisor = _reach(record, stack)
        yield Session(record, hypervisor)


def _reach(record: InstanceRecord, stack: contextlib.ExitStack) -> Hypervisor:
    """The instance's libvirtd: as it is, started again if it died, waited for while it starts (its pid file is held before it listens)."""
    deadline = time.monotonic() + SOCKET_S * record.time_scale
    while True:
        try:
            return stack.enter_context(open_hypervisor(record.run_directory, TEMPLATES))
        except NoAnswer as hung:
            hung.hint = f"labctl down {record.id} does not need it; what has changed on the nodes' disks is lost then"
            raise
        except HypervisorError:
            if time.monotonic() > deadline or not record.alive:
                raise
        try:
            if not _listens(record.run_directory / "libvirt"):
                start_libvirtd(record)
        except NoRoom:
            raise
        except (HostError, TimedOut):
            if time.monotonic() > deadline:
                raise
        time.sleep(AGAIN_S)


def disk_of(record: InstanceRecord, node: str) -> Path:
    return record.directory / "disks" / f"{node}.qcow2"


def make_overlay(backing: Path, disk: Path) -> None:
    """A new, empty qcow2 disk on top of `backing`, which stays as it is."""
    partial = disk.with_name(f"{disk.name}.new")
    argv = ("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(backing.resolve()), "-F", "qcow2", str(partial))
    result = run(argv, env=clean_environment(), timeout_s=60, check=False)
    if result.status != 0:
        raise StepError(f"the disk {disk.name} cannot be made", why=result.complaint, hint="is the disk full? df shows it")
    partial.rename(disk)

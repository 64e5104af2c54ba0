"""libvirt, and its only importer: the domains of one instance, through the socket of the instance's own libvirtd.

Owns libvirt's objects and exceptions; neither leaves this file. Every call has a limit: libvirtd may hang or be stopped. Which
nodes there are, and what they are wired to, is the engine's; it says so in DomainSpecs.
"""

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from labctl.errors import AgentError, HostError, HypervisorError, MachineGone
from labctl.host.domain_xml import DomainSpec, Nic, render_domain, render_interface

T = TypeVar("T")
CALL_S = 30.0
STATE_S = 60.0
UNLIMITED = 1 << 40  # bytes a second; QEMU's own limit is that of a network
TOO_LONG = ("No complete agent response", "Unable to encode message payload", "message payload")
NOT_CONNECTED_S = 2.0  # after a start or resume libvirt calls the agent "not connected" for some tens of milliseconds
os.environ.setdefault("LIBVIRT_AUTOSTART", "0")  # never a libvirtd outside the instance


class DomainState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    SHUTTING_DOWN = "shutting down"
    OFF = "off"
    CRASHED = "crashed"


@dataclass(frozen=True)
class DomainFacts:
    """What libvirt says of a domain. `stuck`: it stands still because what it wrote to its disk found no room."""

    name: str
    state: DomainState
    stuck: bool = False


class NoAnswer(HypervisorError):
    """libvirtd did not answer in time: it hangs, or was stopped."""


def _libvirt() -> Any:
    try:
        import libvirt
        import libvirt_qemu  # noqa: F401 - the agent's calls live there
    except ImportError as missing:
        raise HostError(
            "Python cannot import libvirt", why=str(missing), hint="apt install python3-libvirt, then make the environment again"
        ) from missing
    libvirt.registerErrorHandler(lambda *_: None, None)
    return libvirt


def _limited(call: Callable[[], T], doing: str, timeout_s: float) -> T:
    """Run a libvirt call in a thread of its own and give up on it after `timeout_s`: nothing can interrupt it."""
    result: list[T] = []
    error: list[BaseException] = []

    def work() -> None:
        try:
            result.append(call())
        except BaseException as raised:
            error.append(raised)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(timeout_s)
    if error:
        raise error[0]
    if not result:
        raise NoAnswer(f"cannot {doing}", why=f"libvirt did not answer within {timeout_s:g} s")
    return result[0]


class Hypervisor:
    """The domains of one instance. Made by `open_hypervisor`; thread-safe, as libvirt's connections are."""

    def __init__(self, connection: Any, libvirt: Any, templates: Path) -> None:
        self._connection = connection
        self._libvirt = libvirt
        self._templates = templates

    def _call(self, doing: str, call: Callable[[], T], timeout_s: float = CALL_S) -> T:
        try:
            return _limited(call, doing, timeout_s)
        except self._libvirt.libvirtError as refused:
            hint = "" if self._connection.isAlive() else "its libvirtd has ended; labctl up starts it anew and goes on from here"
            raise HypervisorError(f"cannot {doing}", why=str(refused.get_error_message()), hint=hint) from refused

    def start(self, spec: DomainSpec) -> None:
        """Create and run the domain; it is gone when it is switched off."""
        xml = render_domain(spec, self._templates)
        self._call(f"start {spec.name}", lambda: self._connection.createXML(xml, 0), timeout_s=120)

    def start_saved(self, spec: DomainSpec, state: Path, *, whole: bool = False) -> None:
        """Create the domain from its RAM file and the saved device state in `state`; it stands still until `resume`.

        `whole`: `state` holds the memory too, which is written into the RAM file. `HypervisorError` too if `state` is not there.
        """
        if not state.exists():
            raise HypervisorError(f"cannot start {spec.name}", why=f"{state} is not there any more")
        xml = render_domain(spec, self._templates)
        paused = self._libvirt.VIR_DOMAIN_START_PAUSED
        domain = self._call(f"start {spec.name}", lambda: self._connection.createXML(xml, paused), timeout_s=120)
        if not whole:
            self._ignore_shared(domain)
        self._hand_over(domain, state, os.O_RDONLY)
        self._monitor(domain, "migrate-incoming", uri="fd:state")
        self._wait_migrated(domain, f"load the state of {spec.name}")

    def save_state(self, name: str, state: Path) -> None:
        """Write the device state of a paused domain, whose RAM is a shared file, to `state`."""
        domain = self._need(name)
        self._ignore_shared(domain)
        self._hand_over(domain, state, os.O_CREAT | os.O_TRUNC | os.O_RDWR)
        self._monitor(domain, "migrate", uri="fd:state")
        self._wait_migrated(domain, f"save the state of {name}")

    def save_stream(self, name: str, stream: Path) -> None:
        """Write device state and memory of a paused domain to `stream`; it can be resumed afterwards."""
        domain = self._need(name)
        capability = {"capability": "x-ignore-shared", "state": False}
        self._monitor(domain, "migrate-set-capabilities", capabilities=[capability])
        self._monitor(domain, "migrate-set-parameters", **{"max-bandwidth": UNLIMITED})
        self._hand_over(domain, stream, os.O_CREAT | os.O_TRUNC | os.O_RDWR)
        self._monitor(domain, "migrate", uri="fd:state")
        self._wait_migrated(domain, f"save {name}")

    def pause(self, name: str) -> None:
        """Let the machine stand still."""
        self._call(f"pause {name}", self._need(name).suspend)

    def waits_for_state(self, name: str) -> bool:
        """Whether the machine was started to be given a saved state and has not got it: it will never run."""
        return bool(self._monitor(self._need(name), "query-status").get("status") == "inmigrate")

    def resume(self, name: str) -> None:
        """Let the machine run on."""
        self._call(f"resume {name}", self._need(name).resume)

    def attach(self, name: str, nic: Nic) -> None:
        """Plug a NIC into the running machine."""
        xml = render_interface(nic, self._templates)
        self._call(f"plug {nic.mac} into {name}", lambda: self._need(name).attachDeviceFlags(xml, self._libvirt.VIR_DOMAIN_AFFECT_LIVE))

    def _ignore_shared(self, domain: Any) -> None:
        capability = {"capability": "x-ignore-shared", "state": True}
        self._monitor(domain, "migrate-set-capabilities", capabilities=[capability])

    def _monitor(self, domain: Any, command: str, **arguments: Any) -> Any:
        import libvirt_qemu

        request = json.dumps({"execute": command, **({"arguments": arguments} if arguments else {})})
        answer = json.loads(self._call(command, lambda: libvirt_qemu.qemuMonitorCommand(domain, request, 0)))
        if "error" in answer:
            raise HypervisorError(f"cannot {command}", why=str(answer["error"].get("desc", answer["error"])))
        return answer["return"]

    def _hand_over(self, domain: Any, file: Path, flags: int) -> None:
        """Give QEMU an open file as `state`: a file descriptor passes its sandbox, a path does not."""
        import libvirt_qemu

        request = json.dumps({"execute": "getfd", "arguments": {"fdname": "state"}})
        handle = os.open(file, flags | os.O_CLOEXEC, 0o600)
        try:
            self._call("hand a file to QEMU", lambda: libvirt_qemu.qemuMonitorCommandWithFiles(domain, request, [handle], 0))
        finally:
            os.close(handle)

    def _wait_migrated(self, domain: Any, doing: str) -> None:
        deadline = time.monotonic() + STATE_S
        while (found := self._monitor(domain, "query-migrate")).get("status") != "completed":
            if found.get("status") == "failed" or time.monotonic() > deadline:
                raise HypervisorError(f"cannot {doing}", why=found.get("error-desc") or f"status {found.get('status')} after {STATE_S:g} s")
            time.sleep(0.005)

    def domains(self) -> dict[str, DomainFacts]:
        """All domains that exist now, by name."""

        def look() -> list[tuple[str, int, int]]:
            seen = []
            for domain in self._connection.listAllDomains():
                with contextlib.suppress(self._libvirt.libvirtError):  # it may go off between the list and the question
                    seen.append((domain.name(), *domain.state()[:2]))
            return seen

        return {name: self._facts(name, code, reason) for name, code, reason in self._call("list domains", look)}

    def _facts(self, name: str, code: int, reason: int) -> DomainFacts:
        """QEMU lets a machine stand still at a write that finds no room, and does it again when it runs on (werror=enospc)."""
        stuck = (code, reason) == (self._libvirt.VIR_DOMAIN_PAUSED, self._libvirt.VIR_DOMAIN_PAUSED_IOERROR)
        return DomainFacts(name, self._state(code), stuck)

    def _state(self, code: int) -> DomainState:
        lv = self._libvirt
        return {
            lv.VIR_DOMAIN_RUNNING: DomainState.RUNNING,
            lv.VIR_DOMAIN_PAUSED: DomainState.PAUSED,
            lv.VIR_DOMAIN_SHUTDOWN: DomainState.SHUTTING_DOWN,
            lv.VIR_DOMAIN_CRASHED: DomainState.CRASHED,
        }.get(code, DomainState.OFF)

    def stop(self, name: str) -> None:
        """Switch the machine off, as pulling its plug does. Nothing if it is off."""
        domain = self._find(name)
        if domain is not None:
            with contextlib.suppress(HypervisorError):  # it may go off by itself meanwhile; the list below tells
                self._call(f"stop {name}", domain.destroy)
            if self._find(name) is not None:
                raise HypervisorError(f"cannot stop {name}", why="it is still there after libvirt was told to destroy it")

    def set_carrier(self, name: str, nic: Nic) -> None:
        """Give or take the carrier at a NIC (`nic.carrier`), as a cable that is plugged in or pulled."""
        xml = render_interface(nic, self._templates, changed=True)
        domain = self._need(name)
        self._call(f"set the carrier of {nic.mac} on {name}", lambda: domain.updateDeviceFlags(xml, self._libvirt.VIR_DOMAIN_AFFECT_LIVE))

    def channel(self, name: str) -> "Channel":
        """The way to the node's guest agent (fits guest/agent's AgentChannel)."""
        return Channel(self, name)

    def ask_agent(self, name: str, request: dict[str, Any], timeout_s: float) -> Any:
        """One request to a guest agent, its `return` value back; `AgentError` for every way in which that fails."""
        deadline = time.monotonic() + NOT_CONNECTED_S
        while True:
            try:
                return read_answer(name, self._agent_command(name, json.dumps(request), timeout_s))
            except self._libvirt.libvirtError as refused:
                why = str(refused.get_error_message())
                if not self._is_connected():
                    raise _left_alone(name, why) from refused
                if "not connected" not in why or time.monotonic() >= deadline:
                    raise _no_answer(name, why) from refused
                time.sleep(0.02)
            except HypervisorError as failed:
                raise (_no_answer if self._is_connected() else _left_alone)(name, str(failed)) from failed
            except SystemError as garbled:  # what the binding raises where the answer is no UTF-8
                raise AgentError(f"{name}: the guest agent's answer cannot be read", why="it is no text") from garbled

    def _agent_command(self, name: str, request: str, timeout_s: float) -> str:
        import libvirt_qemu

        domain, whole = self._find(name), max(1, round(timeout_s))
        if domain is None:
            raise MachineGone(f"{name}: its machine has ended", hint="labctl status says how; labctl up starts it again")
        return str(_limited(lambda: libvirt_qemu.qemuAgentCommand(domain, request, whole, 0), f"ask {name}'s agent", timeout_s + 5))

    def _is_connected(self) -> bool:
        """Whether the connection still is there; nothing is asked of the other side, which may have been stopped."""
        try:
            return bool(self._connection.isAlive() == 1)
        except self._libvirt.libvirtError:
            return False

    def _find(self, name: str) -> Any:
        def look() -> list[Any]:
            try:
                return [self._connection.lookupByName(name)]
            except self._libvirt.libvirtError as refused:
                if refused.get_error_code() == self._libvirt.VIR_ERR_NO_DOMAIN:
                    return []
                raise

        return next(iter(self._call(f"find {name}", look)), None)

    def _need(self, name: str) -> Any:
        domain = self._find(name)
        if domain is None:
            raise HypervisorError(f"{name} is not running", hint=f"labctl start {name}")
        return domain


def _left_alone(name: str, why: str) -> MachineGone:
    return MachineGone(f"{name}: its libvirtd has ended", why=why, hint="labctl status says what still runs; labctl up goes on from there")


def _no_answer(name: str, why: str) -> AgentError:
    """Why an agent does not answer, and the way on: one whose answers libvirt gave up on stays mute until the machine is another."""
    if any(sign in why for sign in TOO_LONG):
        return AgentError(f"{name}: the guest agent's answer is too long", why=why, hint=f"labctl reset {name}, if it answers no more")
    hint = f"labctl status says how it is; labctl console {name} shows its screen, labctl reset {name} puts it back"
    return AgentError(f"{name}: the guest agent does not answer", why=why, hint=hint)


def read_answer(name: str, text: str) -> Any:
    """The `return` value in a guest agent's answer; `AgentError` for whatever is none. A guest may answer anything."""
    try:
        return json.loads(text)["return"]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as nonsense:
        raise AgentError(f"{name}: the guest agent's answer cannot be read", why=str(nonsense)[:200]) from nonsense


class Channel:
    """One node's agent channel; fits `guest.agent.AgentChannel` without either importing the other."""

    def __init__(self, hypervisor: Hypervisor, name: str) -> None:
        self._hypervisor = hypervisor
        self._name = name

    def send(self, request: dict[str, Any], *, timeout_s: float) -> Any:
        return self._hypervisor.ask_agent(self._name, request, timeout_s)


@contextlib.contextmanager
def open_hypervisor(run_directory: Path, templates: Path) -> Iterator[Hypervisor]:
    """Connect to the libvirtd whose sockets lie in `run_directory`/libvirt, from outside its namespaces.

    The path goes through an open directory (/proc/self/fd), since a socket's own path has at most 107 bytes (unix(7)).
    """
    libvirt = _libvirt()
    try:
        directory = os.open(run_directory / "libvirt", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError as missing:
        raise HypervisorError("the instance's libvirtd is not running", why=str(missing)) from missing
    try:
        uri = f"qemu+unix:///session?socket=/proc/self/fd/{directory}/libvirt-sock"
        try:
            connection = _limited(lambda: libvirt.open(uri), "reach libvirt", CALL_S)
        except libvirt.libvirtError as refused:
            raise HypervisorError("cannot reach the instance's libvirtd", why=str(refused.get_error_message())) from refused
        try:
            yield Hypervisor(connection, libvirt, templates)
        finally:
            with contextlib.suppress(libvirt.libvirtError, HypervisorError):
                _limited(connection.close, "close the connection", 5)
    finally:
        os.close(directory)

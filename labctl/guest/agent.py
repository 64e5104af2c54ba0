"""The QEMU guest agent's protocol (docs/interop/qemu-ga-ref): the only speaker of it, over whatever channel carries it.

Owns how a command is run in a node, how its end is awaited and its output bounded. A guest is not trusted: what it answers is
checked before it is believed. Which node, and by which hypervisor, is the engine's affair.
"""

import base64
import contextlib
import reprlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from labctl.errors import AgentError, MachineGone, TimedOut

JsonObject = dict[str, Any]
MAX_SCRIPT = 3 * 1024 * 1024  # a request through libvirt has at most 4 MiB; base64 adds a third
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.01, 0.25
REQUEST_S = 20.0
MOST_OUTPUT = 2_750_000  # bytes of a limited command: in base64 they fit into one answer of libvirt's (4 MiB)
LIMITER = Path(__file__).with_name("limiter.pl")
LONGEST_OUTPUT = 32 * 1024 * 1024  # characters; the agent itself keeps 16 MiB, and libvirt passes on less


class AgentChannel(Protocol):
    """Carries one request to the agent of one node and brings its answer."""

    def send(self, request: JsonObject, *, timeout_s: float) -> Any: ...


@dataclass(frozen=True)
class Completed:
    """How a command in a node ended. `truncated`: only the first part of its output is here."""

    status: int
    stdout: bytes
    stderr: bytes
    truncated: bool = False

    @property
    def text(self) -> str:
        return self.stdout.decode(errors="replace")


class Agent:
    """The agent of one node."""

    def __init__(self, channel: AgentChannel, node: str) -> None:
        self._channel = channel
        self._node = node

    def ping(self, timeout_s: float) -> None:
        """Return once the agent answers one ping; `AgentError` if it does not."""
        self._channel.send({"execute": "guest-ping"}, timeout_s=timeout_s)

    def wait_until_up(self, timeout_s: float, every_s: float = 0.2) -> None:
        """Return once the agent answers; `TimedOut` names the last refusal, `MachineGone` comes at once."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                return self.ping(max(1.0, min(5.0, deadline - time.monotonic())))
            except MachineGone:
                raise
            except AgentError as refusal:
                if time.monotonic() >= deadline:
                    raise TimedOut(
                        f"{self._node}: its agent did not answer within {timeout_s:g} s",
                        why=refusal.why or refusal.what,
                        hint=f"labctl console {self._node} shows its screen",
                    ) from refusal
                time.sleep(every_s)

    def run(
        self,
        script: str | Sequence[str],
        *,
        stdin: bytes = b"",
        timeout_s: float,
        env: Mapping[str, str] | None = None,
        limited: bool = False,
    ) -> Completed:
        """Run a shell script (str, by sh) or a program (sequence) as root and wait for its end.

        `limited`: of its output no more than MOST_OUTPUT, whatever it prints: for commands of a person's or of a lab's (one process more).
        `TimedOut` after `timeout_s` (the command is killed), `AgentError` if the agent fails or answers nonsense.
        """
        return self.finish(self.start(script, stdin=stdin, env=env, limited=limited), script, timeout_s=timeout_s, limited=limited)

    def finish(self, pid: int, script: str | Sequence[str], *, timeout_s: float, limited: bool = False) -> Completed:
        """Wait for the end of what `start` gave `pid`; errors as of `run`, which `script` is for."""
        deadline = time.monotonic() + timeout_s
        pause = FIRST_PAUSE_S
        while not self._has_ended(status := self._ask("guest-exec-status", pid=pid)):
            if time.monotonic() >= deadline:
                self.kill(pid, limited=limited)
                raise TimedOut(f"{self._node}: the command did not end within {timeout_s:g} s", why=_first_words(script))
            time.sleep(pause)
            pause = min(pause * 1.25, LONGEST_PAUSE_S)
        return _cut(self._completed(status)) if limited else self._completed(status)

    def kill(self, pid: int, *, limited: bool = False) -> None:
        """End what `start` gave `pid`; an agent that fails now is no news to whoever gives a command up."""
        with contextlib.suppress(AgentError):
            self._ask("guest-exec", path="/bin/kill", arg=["-TERM" if limited else "-KILL", "--", f"{pid}"])

    def set_time(self, now_ns: int) -> None:
        """Set the node's clock to `now_ns` (nanoseconds since 1970, UTC)."""
        self._ask("guest-set-time", time=now_ns)

    def write(self, path: str, content: bytes) -> None:
        """Write to a file that is there (a FIFO, for one); no process is started for it."""
        handle = self._channel.send({"execute": "guest-file-open", "arguments": {"path": path, "mode": "r+"}}, timeout_s=REQUEST_S)
        data = base64.b64encode(content).decode()
        self._channel.send({"execute": "guest-file-write", "arguments": {"handle": handle, "buf-b64": data}}, timeout_s=REQUEST_S)
        self._channel.send({"execute": "guest-file-close", "arguments": {"handle": handle}}, timeout_s=REQUEST_S)

    def start(self, script: str | Sequence[str], *, stdin: bytes = b"", env: Mapping[str, str] | None = None, limited: bool = False) -> int:
        """Start a script or program as `run` does and return its process id at once."""
        argv = ["/bin/sh", "-s"] if isinstance(script, str) else list(script)
        if limited:
            argv = ["/usr/bin/perl", "-e", LIMITER.read_text(), str(MOST_OUTPUT + 1), *argv]
        data = script.encode() if isinstance(script, str) else stdin
        if len(data) > MAX_SCRIPT:
            raise AgentError(
                f"{self._node}: {len(data)} bytes are too many for one command", why=f"at most {MAX_SCRIPT} travel to a node at once"
            )
        arguments: JsonObject = {"path": argv[0], "arg": argv[1:], "capture-output": True}
        if data:
            arguments["input-data"] = base64.b64encode(data).decode()
        arguments["env"] = [f"{name}={value}" for name, value in {**GUEST_ENVIRONMENT, **(env or {})}.items()]
        pid = self._ask("guest-exec", **arguments).get("pid")
        if type(pid) is not int or pid < 2:
            raise AgentError(f"{self._node}: the agent gave no process id", why=reprlib.repr(pid))
        return pid

    def _ask(self, command: str, **arguments: Any) -> JsonObject:
        answer = self._channel.send({"execute": command, "arguments": arguments}, timeout_s=REQUEST_S)
        if not isinstance(answer, dict):
            if command == "guest-set-time":
                return {}
            raise AgentError(f"{self._node}: {command} was answered by something else", why=reprlib.repr(answer))
        return answer

    def _has_ended(self, status: JsonObject) -> bool:
        ended = status.get("exited")
        if type(ended) is not bool:
            raise AgentError(f"{self._node}: the agent does not say whether the command ended", why=reprlib.repr(ended))
        return ended

    def _completed(self, status: JsonObject) -> Completed:
        try:
            code = 128 + _byte(status["signal"], 127) if "signal" in status else _byte(status["exitcode"], 255)
            stdout, stderr = _decoded(status.get("out-data", "")), _decoded(status.get("err-data", ""))
        except (KeyError, TypeError, ValueError) as nonsense:
            raise AgentError(f"{self._node}: the agent's answer cannot be read", why=str(nonsense)[:200]) from nonsense
        return Completed(code, stdout, stderr, bool(status.get("out-truncated") or status.get("err-truncated")))


GUEST_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


def _cut(done: Completed) -> Completed:
    """The limiter lets one byte more pass than is kept, so that a cut is seen."""
    over = len(done.stdout) + len(done.stderr) - MOST_OUTPUT
    if over <= 0:
        return done
    if len(done.stdout) >= over:
        return replace(done, stdout=done.stdout[:-over], truncated=True)
    return replace(done, stdout=b"", stderr=done.stderr[:MOST_OUTPUT], truncated=True)


def _byte(value: Any, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{reprlib.repr(value)} is no status of a command")
    return value


def _decoded(data: Any) -> bytes:
    if not isinstance(data, str) or len(data) > LONGEST_OUTPUT:
        raise ValueError(f"{len(data)} characters of output" if isinstance(data, str) else f"{reprlib.repr(data)} is no output")
    return base64.b64decode(data, validate=True)


def _first_words(script: str | Sequence[str]) -> str:
    words = script if isinstance(script, str) else " ".join(script)
    return words.strip()[:200]

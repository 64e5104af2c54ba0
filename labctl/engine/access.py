"""Ways into a node: a command by the agent, a shell by ssh, the serial console, files by scp, a port on the workstation.

Owns the argument tuples of the programs that carry a person there; the door runs them. Everything a session sees in the node is the
lesson: labctl's own interface lives in a namespace of its own.
"""

import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from labctl.engine.instances import InstanceRecord
from labctl.engine.parallel import at_once
from labctl.engine.session import open_session
from labctl.errors import AgentError, StepError, TimedOut, UsageError
from labctl.guest.agent import Agent, Completed
from labctl.host.places import runtime_directory
from labctl.host.run import clean_environment, ending_with_us, start, stop

EXEC_S = 3600.0
OPEN_S = 20.0


def choose_nodes(record: InstanceRecord, words: str) -> tuple[str, ...]:
    """`pc1`, `pc1,pc2` or `all` → node names, each once; `UsageError` for one that is not there, or if none is named."""
    if words == "all":
        return tuple(node.name for node in record.nodes)
    return record.named_nodes((words,))


def exec_on(
    record: InstanceRecord, nodes: Sequence[str], command: str | Sequence[str], *, stdin: bytes = b"", timeout_s: float = EXEC_S
) -> Mapping[str, Completed | AgentError | TimedOut]:
    """Run one command on `nodes` at the same time; for each how it ended, or the error that kept it from ending."""
    with open_session(record) as session:
        return run_on_all({node: session.agent(node) for node in nodes}, command, stdin=stdin, timeout_s=timeout_s)


def run_on_all(
    agents: Mapping[str, Agent], command: str | Sequence[str], *, stdin: bytes, timeout_s: float
) -> Mapping[str, Completed | AgentError | TimedOut]:
    """As `exec_on`, by the agents of the nodes. Who interrupts it ends the commands too."""
    running: dict[str, int] = {}

    def one(node: str) -> Completed | AgentError | TimedOut:
        ended: Completed | AgentError | TimedOut
        try:
            running[node] = agents[node].start(command, stdin=stdin, limited=True)
            ended = agents[node].finish(running[node], command, timeout_s=timeout_s, limited=True)
        except (AgentError, TimedOut) as failed:
            ended = failed
        running.pop(node, None)
        return ended

    try:
        return at_once({node: partial(one, node) for node in agents})
    except KeyboardInterrupt:
        at_once({node: partial(agents[node].kill, pid, limited=True) for node, pid in running.copy().items()})
        raise


def config_file(record: InstanceRecord) -> Path:
    return record.directory / "keys" / "ssh_config"


def ssh_argv(record: InstanceRecord, node: str, words: Sequence[str] = (), options: Sequence[str] = ()) -> tuple[str, ...]:
    """ssh into `node`; a connection that is open already is shared (ControlMaster, ssh_config(5)), which saves a login."""
    _need(record, node)
    control = ("-o", "ControlMaster=auto", "-o", f"ControlPath={_control_path(record, node)}", "-o", "ControlPersist=60")
    return ("ssh", "-F", str(config_file(record)), *control, *options, node, *words)


def _control_path(record: InstanceRecord, node: str) -> str:
    """A short socket path: ssh adds 17 characters of its own, and 107 bytes is the limit of a Unix socket's.

    Each start of the machine makes its console anew: a connection to what it was before a reset is not taken for one to what it is now.
    """
    try:
        started = (record.run_directory / f"console-{node}").stat().st_mtime_ns
    except OSError:  # it is off, and ssh will say so
        started = 0
    name = f"ssh-{record.first_pid}-{started:x}-{record.node(node).index}"
    return str(runtime_directory() / name).replace("%", "%%")


def scp_argv(record: InstanceRecord, source: Sequence[str], target: str, *, recursive: bool) -> tuple[str, ...]:
    """scp between the workstation and nodes: `node:path` is a place in a node."""
    for word in (*source, target):
        node, colon, _ = word.partition(":")
        if colon and "/" not in node:
            _need(record, node)
    return ("scp", "-F", str(config_file(record)), "-q", *(("-r",) if recursive else ()), *source, target)


def console_argv(record: InstanceRecord, node: str) -> tuple[tuple[str, ...], Path]:
    """The program that joins the terminal to the node's serial console, and the directory to run it in (the socket's path is short so)."""
    _need(record, node)
    return ("socat", "-,raw,echo=0,escape=0x1d", f"UNIX-CONNECT:console-{node}"), record.run_directory


def open_port(record: InstanceRecord, node: str, port: int, *, local: int = 0) -> "tuple[subprocess.Popen[bytes], int]":
    """Bring `port` of `node`, in its lesson's own network, to the workstation's loopback: the forwarder that runs, and the local port."""
    _need(record, node)
    local = _free_port(local)
    forward = ("-N", "-L", f"127.0.0.1:{local}:localhost:{port}", "-o", "ExitOnForwardFailure=yes", "-o", "ControlPath=none")
    argv = ending_with_us(("ssh", "-F", str(config_file(record)), *forward, node))
    process = start(argv, env=clean_environment(), stderr=subprocess.PIPE)
    deadline = time.monotonic() + OPEN_S * record.time_scale
    try:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", local), timeout=1):
                    return process, local
            except OSError:
                time.sleep(0.1)
        said = process.stderr.read().decode(errors="replace").strip() if process.poll() is not None and process.stderr else ""
        raise StepError(f"port {port} of {node} cannot be opened here", why=said or "the forward did not come up in time")
    except BaseException:
        stop(process)
        raise


def _free_port(wanted: int) -> int:
    """`wanted`, or any port for 0, that can be listened on here; `UsageError` if it cannot: what answers there is another program."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as ssh does: connections that have just ended are in nobody's way
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError as taken:
            why, hint = taken.strerror or str(taken), "--local PORT: another one; without it a free one is taken"
            raise UsageError(f"port {wanted} of this machine cannot be listened on", why=why, hint=hint) from taken
        return int(probe.getsockname()[1])


def _need(record: InstanceRecord, node: str) -> None:
    record.node(node)
    record.need_running()

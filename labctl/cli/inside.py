"""Verbs that go into a running lab: ssh, exec, console, cp, ssh-config, open. What a session sees there is the lesson."""

import os
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.check.readable import harmless
from labctl.cli import complete
from labctl.cli.app import INSIDE, verb
from labctl.cli.options import InstanceOption, JsonOption, NodeArgument
from labctl.cli.reader import Reader
from labctl.errors import HostError, LabError, StepError, UsageError

if TYPE_CHECKING:
    from labctl.guest.agent import Completed

OWN = 255  # what our own failures exit with where the status is that of a command in a node
EXEC_SHAPE = """{"pc1": {"status": 0, "stdout": "…", "stderr": "…"}, "pc2": {"error": "…"}}"""

CommandArgument = Annotated[list[str] | None, typer.Argument(metavar="CMD", help="A command; its own options stand after --.")]
ExecNodesArgument = Annotated[str, typer.Argument(metavar="NODES", help="pc1, or pc1,pc2, or all.", autocompletion=complete.nodes)]


@verb("ssh", INSIDE, "labctl ssh pc1", "labctl ssh pc1 -- ip route", own_status=OWN)
def ssh(reader: Reader, node: NodeArgument, command: CommandArgument = None, instance: InstanceOption = None) -> None:
    """Open a shell in a node, or run a command there."""
    from labctl.engine.access import ssh_argv
    from labctl.engine.instances import find_instance

    become(ssh_argv(find_instance(None, instance), node, command or ()))


@verb(
    "exec",
    INSIDE,
    "labctl exec pc1 -- ping -c 3 192.168.1.12",
    "labctl exec all -- 'ip -br addr | grep eth'",
    own_status=OWN,
    shape=EXEC_SHAPE,
)
def exec_(
    reader: Reader,
    nodes: ExecNodesArgument,
    command: Annotated[list[str], typer.Argument(metavar="CMD", help="A command, or one word that a shell runs.")],
    instance: InstanceOption = None,
    no_stdin: Annotated[bool, typer.Option("--no-stdin", "-n", help="Leave standard input alone, as in a loop that reads.")] = False,
    json: JsonOption = False,
) -> int:
    """Run a command in one node, several or all at once.

    It needs no network: the guest agent carries it, with what is piped in. The exit status is the command's; of several nodes, 1 if
    any failed.
    """
    from labctl.engine.access import choose_nodes, exec_on
    from labctl.engine.instances import find_instance

    record = find_instance(None, instance)
    chosen = choose_nodes(record, nodes)
    words = tuple(command) if len(command) > 1 else ("/bin/sh", "-c", command[0])
    ended = exec_on(record, chosen, words, stdin=b"" if no_stdin else _standard_input())
    if json:
        reader.data({node: _as_data(one) for node, one in ended.items()})
    elif len(chosen) > 1:
        for node, one in ended.items():
            _print_named(node, one)
    else:
        _print_raw(ended[chosen[0]])
    return _status(list(ended.values()))


def _standard_input() -> bytes:
    """What is piped in, to its end; nothing from a terminal, nor from a socket that a caller may never close."""
    try:
        kind = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError):
        return b""
    return sys.stdin.buffer.read() if stat.S_ISFIFO(kind) or stat.S_ISREG(kind) else b""


def _status(ended: "Sequence[Completed | LabError]") -> int:
    """One node: its command's own status; several: 1 if any failed. Our own failure on a single node is 255."""
    statuses = [OWN if isinstance(one, LabError) else one.status for one in ended]
    return statuses[0] if len(statuses) == 1 else int(any(statuses))


def _as_data(one: "Completed | LabError") -> dict[str, object]:
    if isinstance(one, LabError):
        return {"error": str(one)}
    return {"status": one.status, "stdout": one.stdout.decode(errors="replace"), "stderr": one.stderr.decode(errors="replace")}


def _print_raw(one: "Completed | LabError") -> None:
    if isinstance(one, LabError):
        raise one
    for stream, output in ((sys.stdout, one.stdout), (sys.stderr, one.stderr)):
        if stream.isatty():  # a node's output must not steer the terminal; in a pipe every byte is as it was
            stream.write(harmless(output.decode(errors="replace").replace("\r\n", "\n")))
            stream.flush()
        else:
            stream.buffer.write(output)
            stream.buffer.flush()
    if one.truncated:
        print("labctl: the output was too long; its end is missing", file=sys.stderr)


def _print_named(node: str, one: "Completed | LabError") -> None:
    """Each line behind its node's name; a status that is not 0 is told."""
    if isinstance(one, LabError):
        print(harmless(f"{node}: labctl: {one}"), file=sys.stderr)
        return
    for stream, output in ((sys.stdout, one.stdout), (sys.stderr, one.stderr)):
        for line in output.decode(errors="replace").splitlines():
            print(harmless(f"{node}: {line}"), file=stream)
    if one.truncated:
        print(f"{node}: the output was too long; its end is missing", file=sys.stderr)
    if one.status:
        print(f"{node}: ended with status {one.status}", file=sys.stderr)


@verb("console", INSIDE, "labctl console sw1", own_status=OWN)
def console(reader: Reader, node: NodeArgument, instance: InstanceOption = None) -> None:
    """Join a node's serial console; Ctrl-] leaves it."""
    from labctl.engine.access import console_argv
    from labctl.engine.instances import find_instance

    argv, directory = console_argv(find_instance(None, instance), node)
    reader.remark(f"{node}: press Enter for a prompt, Ctrl-] to leave")
    os.chdir(directory)
    become(argv)


@verb("cp", INSIDE, "labctl cp page.html pc1:/root/", "labctl cp -r pc1:/var/log ./log")
def cp(
    reader: Reader,
    words: Annotated[list[str], typer.Argument(metavar="SOURCE TARGET", help="Files here, or NODE:PATH.", autocompletion=complete.places)],
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Directories with all that is in them.")] = False,
    instance: InstanceOption = None,
) -> None:
    """Copy files to a node, from a node or between nodes."""
    from labctl.engine.access import scp_argv
    from labctl.engine.instances import find_instance

    if len(words) < 2:
        raise UsageError("cp needs a source and a target", hint="labctl cp page.html pc1:/root/")
    become(scp_argv(find_instance(None, instance), words[:-1], words[-1], recursive=recursive))


@verb("ssh-config", INSIDE, "labctl ssh-config > l2-switch.ssh", "ssh -F l2-switch.ssh pc1")
def ssh_config(reader: Reader, instance: InstanceOption = None) -> None:
    """Print a configuration with which ssh reaches the nodes.

    scp, rsync, editors and Ansible read it too.
    """
    from labctl.engine.access import config_file
    from labctl.engine.instances import find_instance

    reader.say(config_file(find_instance(None, instance)).read_text().rstrip("\n"))


@verb("open", INSIDE, "labctl open web1:80", "labctl open web1:80 --local 8080")
def open_(
    reader: Reader,
    port: Annotated[str, typer.Argument(metavar="NODE:PORT", help="A TCP port of a node.", autocompletion=complete.places)],
    local: Annotated[int, typer.Option("--local", metavar="PORT", min=0, max=65535, help="Port on this machine; 0 takes a free one.")] = 0,
    instance: InstanceOption = None,
) -> None:
    """Bring a port of a node to this machine, until Ctrl-C.

    It is open on the loopback only. The address is printed alone on standard output.
    """
    from labctl.engine.access import open_port
    from labctl.engine.instances import find_instance

    node, number = _node_and_port(port)
    process, here = open_port(find_instance(None, instance), node, number, local=local)
    scheme = {80: "http://", 443: "https://"}.get(number, "http://" if number in (3000, 5000, 8000, 8080) else "")
    reader.say(f"{scheme}127.0.0.1:{here}")
    sys.stdout.flush()
    reader.remark(f"{node}:{number} is open there; Ctrl-C closes it")
    try:
        with suppress(KeyboardInterrupt):
            said = process.communicate()[1].decode(errors="replace").strip()
            raise StepError(f"{node}:{number} is closed", why=said or f"the connection to {node} ended (status {process.returncode})")
    finally:
        process.terminate()
        process.wait(timeout=5)


def _node_and_port(word: str) -> tuple[str, int]:
    node, _, number = word.partition(":")
    if not node or not number.isdigit() or not 0 < int(number) < 65536:
        raise UsageError(f"'{word}' is no port of a node", hint="as in web1:80")
    return node, int(number)


def become(argv: Sequence[str]) -> None:
    """Turn into another program: it has the terminal, and its status is ours."""
    sys.stdout.flush()
    try:
        os.execvp(argv[0], list(argv))
    except FileNotFoundError as missing:
        raise HostError(f"{argv[0]} is not installed", why=str(missing), hint="labctl doctor names the package") from missing

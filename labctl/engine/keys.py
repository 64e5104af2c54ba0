"""The SSH keys of one instance: one for the person, one host key for each node, made on this machine by ssh-keygen(1).

Owns `keys/` and the ssh_config that makes ssh, scp, VS Code and Ansible reach the nodes: the connection enters the instance's
namespaces, so no address of a lab is ever on the host. An ed25519 key costs 10 ms here and seconds in an emulated guest.
"""

import shlex
from pathlib import Path

from labctl.engine.instances import InstanceRecord
from labctl.engine.parallel import workers
from labctl.host.namespace import inside
from labctl.host.run import run

SSH_PORT = 22


def make_key(file: Path, comment: str) -> None:
    """A new ed25519 key pair at `file` and `file`.pub; nothing if there is one already, a half-made one gives way."""
    if not (file.exists() and file.with_suffix(".pub").exists()):
        file.unlink(missing_ok=True)
        run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(file)), timeout_s=20)


def user_key(directory: Path) -> Path:
    return directory / "keys" / "id_ed25519"


def host_key(directory: Path, node: str) -> Path:
    return directory / "keys" / f"host_{node}"


def make_keys(directory: Path, nodes: tuple[str, ...]) -> None:
    """The person's key and a host key for each of `nodes`."""
    with workers() as pool:
        list(pool.map(make_key, (user_key(directory), *(host_key(directory, node) for node in nodes)), ("labctl", *nodes)))


def forget_host_key(directory: Path, node: str) -> None:
    """Take a node's host key away, for a node that is made anew."""
    for file in (host_key(directory, node), host_key(directory, node).with_suffix(".pub")):
        file.unlink(missing_ok=True)


def write_ssh_files(record: InstanceRecord) -> None:
    """Write known_hosts and ssh_config of the instance as it is now."""
    known = []
    for node in record.nodes:
        public = host_key(record.directory, node.name).with_suffix(".pub").read_text().split()[:2]
        known.append(f"{node.name} {' '.join(public)}")
    (record.directory / "keys" / "known_hosts").write_text("\n".join(known) + "\n")
    (record.directory / "keys" / "ssh_config").write_text(ssh_config(record))


def ssh_config(record: InstanceRecord) -> str:
    """An ssh_config(5) with one Host for each node of the instance."""
    return "\n".join(_host(record, node.name, node.management_address) for node in record.nodes)


def _host(record: InstanceRecord, node: str, address: str) -> str:
    keys = record.directory / "keys"
    proxy = shlex.join(inside(record.first, ("socat", "STDIO", f"TCP:{address}:{SSH_PORT}"))).replace("%", "%%")  # a shell runs it
    lines = [
        f"Host {node}",
        "  User root",
        f"  HostKeyAlias {node}",
        f"  IdentityFile {_quoted(str(user_key(record.directory)))}",
        "  IdentitiesOnly yes",
        f"  UserKnownHostsFile {_quoted(str(keys / 'known_hosts'))}",
        "  GlobalKnownHostsFile /dev/null",
        "  StrictHostKeyChecking yes",
        "  KexAlgorithms ^curve25519-sha256",  # first: what withstands quantum computers costs an emulated guest 0.2 s, on a wire in RAM
        "  LogLevel ERROR",
        f"  ProxyCommand {proxy}",
    ]
    return "\n".join(lines) + "\n"


def _quoted(word: str) -> str:
    """A path for ssh_config(5): blanks and # in quotes, % as %%. Paths with quotes of their own are refused before (`host/room`)."""
    word = word.replace("%", "%%")
    return f'"{word}"' if any(letter in word for letter in " \t#'") else word

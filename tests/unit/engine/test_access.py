"""Ways into a node: which nodes are meant, and a port of one on this machine."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from labctl.engine.access import choose_nodes, open_port
from labctl.engine.instances import InstanceRecord, NodeRecord, boot_id
from labctl.errors import StepError, UsageError
from labctl.host.namespace import start_time

ROOT = Path(__file__).parents[3]

NODES = tuple(
    NodeRecord(name, number, "host", 256, 1, "uuid", f"169.254.1.{number}", (), "layer") for number, name in enumerate(("pc1", "pc2"))
)


def lab_in(directory: Path) -> InstanceRecord:
    """A lab whose first process is this one: it runs."""
    me = os.getpid()
    return InstanceRecord(
        "l2-switch", "l2-switch", "/x/lab.yaml", "default", "d", directory, "/s", 1.0, "tcg", 4.0, me, start_time(me) or 0, boot_id(), NODES
    )  # fmt: skip


def write_ssh(place: Path, text: str) -> None:
    """An ssh that notes its pid and does what `text` says."""
    (place / "ssh").write_text(f"#!/bin/sh\necho $$ >{place}/pid\n{text}\n")
    (place / "ssh").chmod(0o755)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory whose programs come before the system's."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def test_each_node_that_is_named_is_meant_once(tmp_path: Path) -> None:
    record = lab_in(tmp_path)
    assert choose_nodes(record, "pc2, pc1,pc2") == ("pc2", "pc1")
    assert choose_nodes(record, "all") == ("pc1", "pc2")


@pytest.mark.parametrize("words", ["", ",", " , "])
def test_a_command_for_no_node_is_refused(words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no node is named"):
        choose_nodes(lab_in(tmp_path), words)


def test_a_port_that_another_program_has_is_refused_before_ssh_starts(place: Path) -> None:
    write_ssh(place, "exec sleep 60")
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {taken} of this machine cannot be listened on") as refused:
            open_port(lab_in(place), "pc1", 80, local=taken)
    assert "in use" in refused.value.why
    assert not (place / "pid").exists()


def test_a_port_whose_last_connection_has_just_ended_can_be_opened_again(place: Path) -> None:
    write_ssh(place, "echo 'no route' >&2; exit 255")
    with socket.create_server(("127.0.0.1", 0)) as before:
        port = before.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            before.accept()[0].close()  # this side waits now (TIME_WAIT)
            client.recv(1)
    with pytest.raises(StepError, match="port 80 of pc1 cannot be opened here") as failed:
        open_port(lab_in(place), "pc1", 80, local=port)
    assert failed.value.why == "no route"


def test_ctrl_c_before_a_port_is_open_leaves_no_ssh_behind(place: Path) -> None:
    write_ssh(place, "sleep 1; kill -INT $PPID; exec sleep 60")
    with pytest.raises(KeyboardInterrupt):
        open_port(lab_in(place), "pc1", 80)
    assert start_time(int((place / "pid").read_text())) is None


def test_a_labctl_that_is_killed_leaves_no_ssh_behind(place: Path) -> None:
    write_ssh(place, "kill -KILL $PPID; exec sleep 60")
    program = (
        "import sys; from pathlib import Path; from tests.unit.engine.test_access import *; open_port(lab_in(Path(sys.argv[1])), 'pc1', 80)"
    )
    ended = subprocess.run((sys.executable, "-c", program, str(place)), cwd=ROOT, check=False)
    assert ended.returncode == -signal.SIGKILL
    pid, deadline = int((place / "pid").read_text()), time.monotonic() + 10
    while start_time(pid) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert start_time(pid) is None

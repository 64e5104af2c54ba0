"""The desk: its command, and that a real tmux makes of it the panes and windows it should. Panes run a stand-in for labctl."""

import contextlib
import os
import pty
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.engine.desk import desk_argv, wires_for
from labctl.engine.instances import InstanceRecord, NodeRecord, PortRecord, boot_id
from labctl.errors import UsageError
from labctl.host.namespace import start_time

CABLES = (("pc1:eth1", "sw1:port1"), ("pc2:eth1", "sw1:port2"), ("pc3:eth1", "sw1:port3"))
SAYS = "import sys, time; print('here is', *sys.argv[1:], flush=True); time.sleep(60)"


def node(name: str, index: int, *ports: str) -> NodeRecord:
    nics = tuple(PortRecord(port, f"n{index}p{number}", "") for number, port in enumerate(ports))
    return NodeRecord(name, index, "host", 256, 1, "uuid", "169.254.1.0", nics, "layer")


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InstanceRecord:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    nodes = (node("pc1", 0, "eth1"), node("pc2", 1, "eth1"), node("pc3", 2, "eth1"), node("sw1", 3, "port1", "port2", "port3"))
    return InstanceRecord(
        id="mine", lab="l2-switch", file="/labs/a lab/lab.yaml", variant="default", digest="d", directory=tmp_path, short="/srv",
        created=1.0, accelerator="tcg", time_scale=4.0, first_pid=os.getpid(), first_started=start_time(os.getpid()) or 0,
        boot_id=boot_id(), nodes=nodes, cables=CABLES,
    )  # fmt: skip


def test_small_labs_are_listened_to_whole_larger_ones_at_their_first_nodes(record: InstanceRecord) -> None:
    assert wires_for(record) == ("all",)
    more = tuple((f"h{number}:eth1", f"sw2:port{number}") for number in range(9))
    assert wires_for(replace(record, cables=(*CABLES, *more))) == ("pc1:eth1", "pc2:eth1")
    assert wires_for(replace(record, cables=())) == ()


def test_a_lab_that_does_not_run_and_a_wire_that_is_none_are_refused(record: InstanceRecord) -> None:
    with pytest.raises(UsageError, match="not running"):
        desk_argv(replace(record, first_pid=0), ("labctl",), (), "en")
    with pytest.raises(UsageError, match="no interface 'eth9'"):
        desk_argv(record, ("labctl",), ("pc1:eth9",), "en")


def tmux(argv: tuple[str, ...], *words: str) -> str:
    done = subprocess.run((*argv[:3], *words), capture_output=True, text=True, check=False, timeout=20)
    return done.stdout


def test_tmux_shows_guide_shells_and_capture_and_ends_with_its_terminal(record: InstanceRecord) -> None:
    assert shutil.which("tmux"), "packaging/system-packages.txt names it"
    argv = desk_argv(record, (sys.executable, "-c", SAYS), ("sw1:port1",), "ja")
    terminal, screen = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8", "SHELL": "/bin/sh"}
    environment.pop("TMUX", None)
    child = subprocess.Popen(argv, stdin=screen, stdout=screen, stderr=screen, env=environment, start_new_session=True)
    os.close(screen)
    os.set_blocking(terminal, False)
    try:
        seen = _wait_for(argv, terminal, panes=5)
        rows = tmux(argv, "list-panes", "-s", "-F", "#{window_index}.#{pane_index} #{window_name}/#{pane_title}").splitlines()
        titles = dict(row.split(" ", 1) for row in rows)
        assert [titles[place].split("/")[0] for place in ("0.0", "1.0", "2.0")] == ["desk", "pc3", "sw1"]
        assert [titles[f"0.{number}"] for number in range(4)] == ["desk/guide", "desk/pc1", "desk/pc2", "desk/capture"]
        assert "here is guide /labs/a lab/lab.yaml --pager" in seen["0.0"].replace("\n", "")
        assert "here is ssh pc1 --instance mine --lang ja" in seen["0.1"].replace("\n", "")
        assert "here is capture sw1:port1" in seen["0.3"].replace("\n", "")
    finally:
        os.close(terminal)
        child.wait(timeout=20)
    deadline = time.monotonic() + 10
    while tmux(argv, "list-sessions") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert tmux(argv, "list-sessions") == "", "nothing is left behind"


def _wait_for(argv: tuple[str, ...], terminal: int, *, panes: int) -> dict[str, str]:
    """What stands in each pane once all have spoken."""
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(BlockingIOError):
            os.read(terminal, 65536)
        places = tmux(argv, "list-panes", "-s", "-F", "#{window_index}.#{pane_index}").split()
        seen = {place: tmux(argv, "capture-pane", "-p", "-t", f":{place}") for place in places}
        if len(places) >= panes and all("here is" in text for text in seen.values()) or time.monotonic() > deadline:
            return seen
        time.sleep(0.1)

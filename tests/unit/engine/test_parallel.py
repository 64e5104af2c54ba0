"""Work on several nodes at the same time, and how an interruption ends it: what is queued never begins, nobody waits for the rest."""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from labctl.engine import power
from labctl.engine.access import run_on_all
from labctl.engine.checkpoints import start_from
from labctl.engine.events import silent
from labctl.engine.instances import InstanceRecord, NodeRecord
from labctl.engine.parallel import at_once, workers
from labctl.engine.reset import reset
from labctl.engine.session import Session
from labctl.engine.start import Way, _start_nodes
from labctl.errors import HypervisorError
from labctl.guest.agent import Agent
from labctl.host.hypervisor import Hypervisor
from labctl.lab.plan import BootNode, Plan
from tests.unit.engine.fake_lab import HOSTS, switch_lab

LONG_S = 20.0


@contextmanager
def interrupted(when: threading.Event) -> Iterator[None]:
    """Ctrl-C in the block, soon after `when` is set; the block ends long before what runs in it does."""

    def press() -> None:
        if when.wait(LONG_S):
            time.sleep(0.1)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        yield
    assert time.monotonic() - began < LONG_S / 2


@pytest.fixture
def _one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)


@pytest.mark.usefixtures("_one_core")
@pytest.mark.parametrize("asks", [True, False], ids=["waiting for a result", "at the end of the block"])
def test_an_interruption_lets_nothing_queued_begin_and_waits_for_nothing(asks: bool) -> None:
    submitted, over = threading.Event(), threading.Event()
    ran: list[str] = []
    with interrupted(submitted), workers() as pool:
        running, queued = pool.submit(over.wait, LONG_S), pool.submit(ran.append, "queued")
        submitted.set()
        if asks:
            running.result()
    assert not running.done()
    assert queued.cancelled()
    over.set()
    assert ran == []


@pytest.mark.usefixtures("_one_core")
def test_after_a_failure_on_one_node_the_others_are_finished() -> None:
    ran: list[str] = []

    def work() -> None:
        with workers() as pool:
            failed = pool.submit(lambda: 1 // 0)
            pool.submit(ran.append, "other")
            failed.result()

    with pytest.raises(ZeroDivisionError):
        work()
    assert ran == ["other"]


def test_an_interruption_does_not_wait_for_what_runs_at_once() -> None:
    begun, over = threading.Event(), threading.Event()

    def job() -> None:
        begun.set()
        over.wait(LONG_S)

    with interrupted(begun):
        at_once({"pc1": job, "pc2": job})
    over.set()


class Endless:
    """An AgentChannel of a node on which a command runs until it is killed."""

    def __init__(self, asked_for_its_end: Callable[[], None]) -> None:
        self.killed: list[list[str]] = []
        self._asked_for_its_end = asked_for_its_end

    def send(self, request: dict[str, Any], *, timeout_s: float) -> Any:
        if request["execute"] == "guest-exec-status":
            self._asked_for_its_end()
            return {"exited": bool(self.killed), "exitcode": 143}
        if request["arguments"]["path"] == "/bin/kill":
            self.killed.append(request["arguments"]["arg"])
        return {"pid": 7}


@pytest.mark.parametrize("nodes", [("pc1",), ("pc1", "pc2", "pc3")], ids=["one node", "several nodes"])
def test_an_interrupted_exec_ends_the_commands_in_the_nodes(nodes: tuple[str, ...]) -> None:
    running, all_run = set[str](), threading.Event()

    def asked(node: str) -> None:
        running.add(node)
        if len(running) == len(nodes):
            all_run.set()

    channels = {node: Endless(partial(asked, node)) for node in nodes}
    with interrupted(all_run):
        run_on_all({node: Agent(channel, node) for node, channel in channels.items()}, ("ping", "pc9"), stdin=b"", timeout_s=LONG_S)
    assert [channel.killed for channel in channels.values()] == [[["-TERM", "--", "7"]]] * len(nodes)


class Stuck:
    """A hypervisor that has begun to switch machines off and does not answer."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.begun, self.over = threading.Event(), threading.Event()

    def domains(self) -> dict[str, Any]:
        return {}

    def stop(self, name: str) -> None:
        self.asked.append(name)
        self.begun.set()
        self.over.wait(LONG_S)
        raise HypervisorError(f"cannot stop {name}")


LAYERS: dict[str, Any] = dict.fromkeys((*HOSTS, "sw1"))


def start_from_checkpoint(session: Session, place: Path) -> None:
    (place / "about.json").write_text(json.dumps({"chains": {name: ["x"] for name in HOSTS}}))
    start_from(session, place, switch_lab(), LAYERS, HOSTS, silent)


def start_as_planned(session: Session, _: Path) -> None:
    plan = Plan(tuple(BootNode("start", name) for name in HOSTS))
    _start_nodes(session, switch_lab(), LAYERS, plan, Way.COLD, to_be_saved=False, report=silent)


VERBS: dict[str, Callable[[Session, Path], None]] = {
    "start": lambda session, _: power.start(session, switch_lab(), HOSTS, LAYERS, silent),
    "reset": lambda session, _: reset(session, switch_lab(), LAYERS, HOSTS, silent),
    "up, or reset, from a checkpoint": start_from_checkpoint,
    "up": start_as_planned,
}


@pytest.mark.usefixtures("_one_core")
@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS.keys())
def test_what_starts_nodes_ends_when_it_is_interrupted_and_begins_with_no_other(
    verb: Callable[[Session, Path], None], tmp_path: Path
) -> None:  # fmt: skip
    nodes = tuple(NodeRecord(name, number, "any", 256, 1, "u", "169.254.1.0", (), "layer") for number, name in enumerate((*HOSTS, "sw1")))
    record = InstanceRecord(
        id="switch", lab="switch", file="", variant="default", digest="", directory=tmp_path, short="/srv", created=1.0, accelerator="tcg",
        time_scale=4.0, nodes=nodes,
    )  # fmt: skip
    stuck = Stuck()
    with interrupted(stuck.begun):
        verb(Session(record, cast("Hypervisor", stuck)), tmp_path)
    stuck.over.set()
    time.sleep(0.1)
    assert stuck.asked == ["pc1"]

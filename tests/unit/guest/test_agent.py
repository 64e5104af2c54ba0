"""The guest agent's protocol, over a channel that a test writes: what a guest answers is checked before it is believed."""

import base64
from typing import Any

import pytest

from labctl.errors import AgentError, MachineGone, TimedOut
from labctl.guest.agent import MAX_SCRIPT, Agent


class Script:
    """An AgentChannel that answers from a list; the last answer stays."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def send(self, request: dict[str, Any], *, timeout_s: float) -> Any:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def encoded(text: bytes) -> str:
    return base64.b64encode(text).decode()


def test_a_command_brings_status_output_and_complaints() -> None:
    ended = {"exited": True, "exitcode": 3, "out-data": encoded(b"o"), "err-data": encoded(b"e")}
    channel = Script({"pid": 7}, {"exited": False}, ended)
    done = Agent(channel, "pc1").run(("ip", "link"), timeout_s=5)
    assert (done.status, done.stdout, done.stderr) == (3, b"o", b"e")
    assert channel.asked[0]["arguments"]["path"] == "ip"


def test_a_script_travels_on_standard_input_of_sh() -> None:
    channel = Script({"pid": 7}, {"exited": True, "exitcode": 0})
    Agent(channel, "pc1").run("echo 日本; exit 0", timeout_s=5)
    arguments = channel.asked[0]["arguments"]
    assert (arguments["path"], arguments["arg"]) == ("/bin/sh", ["-s"])
    assert base64.b64decode(arguments["input-data"]).decode() == "echo 日本; exit 0"


def test_a_file_is_written_without_a_process() -> None:
    channel = Script(1000, {"count": 4, "eof": False}, {})
    Agent(channel, "pc1").write("/run/fifo", b"1;\n")
    assert [asked["execute"] for asked in channel.asked] == ["guest-file-open", "guest-file-write", "guest-file-close"]
    assert channel.asked[0]["arguments"] == {"path": "/run/fifo", "mode": "r+"}
    assert base64.b64decode(channel.asked[1]["arguments"]["buf-b64"]) == b"1;\n"
    assert {asked["arguments"]["handle"] for asked in channel.asked[1:]} == {1000}


def test_a_signal_is_a_status_as_a_shell_shows_it() -> None:
    assert Agent(Script({"pid": 7}, {"exited": True, "signal": 9}), "pc1").run("x", timeout_s=5).status == 137


@pytest.mark.parametrize("nonsense", [None, [], "x", 7, {}, {"pid": "seven"}, {"pid": None}])
def test_an_answer_without_a_process_id_is_refused(nonsense: Any) -> None:
    with pytest.raises(AgentError):
        Agent(Script(nonsense), "pc1").run("true", timeout_s=1)


@pytest.mark.parametrize(
    "status",
    [
        {"exited": True},
        {"exited": True, "exitcode": "x"},
        {"exited": True, "exitcode": 0, "out-data": "***"},
        {"exited": True, "exitcode": 0, "out-data": 7},
        {"exited": True, "signal": []},
    ],
)
def test_a_status_that_lies_is_an_agent_error(status: Any) -> None:
    with pytest.raises(AgentError):
        Agent(Script({"pid": 7}, status), "pc1").run("true", timeout_s=1)


def test_a_command_that_does_not_end_is_killed_and_named() -> None:
    channel = Script({"pid": 7}, {"exited": False})
    with pytest.raises(TimedOut, match="did not end within"):
        Agent(channel, "pc1").run("sleep 1000", timeout_s=0.05)
    assert channel.asked[-1]["arguments"]["path"] == "/bin/kill"


def test_a_script_that_is_too_long_is_refused_before_it_travels() -> None:
    channel = Script({"pid": 7})
    with pytest.raises(AgentError, match="too many"):
        Agent(channel, "pc1").run("x" * (MAX_SCRIPT + 1), timeout_s=1)
    assert channel.asked == []


def test_waiting_for_the_agent_ends_with_what_was_said_last() -> None:
    refusal = AgentError("pc1: no answer", why="not connected")
    with pytest.raises(TimedOut) as late:
        Agent(Script(refusal), "pc1").wait_until_up(0.05, every_s=0.01)
    assert late.value.why == "not connected"
    Agent(Script(refusal, refusal, {}), "pc1").wait_until_up(5, every_s=0.01)


def test_nobody_waits_for_a_machine_that_has_ended() -> None:
    with pytest.raises(MachineGone):
        Agent(Script(MachineGone("pc1: its machine has ended"), {}), "pc1").wait_until_up(60)

"""A guest agent that answers anything: huge, malformed, deep, lying. Each answer is believed, refused with a reason, or given up on."""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labctl.engine.session import TRANSCRIPT_LIMIT, Transcript
from labctl.errors import AgentError, LabError, TimedOut
from labctl.guest.agent import Agent, Completed
from labctl.host.hypervisor import read_answer
from tests.unit.guest.test_agent import Script

QUIET = settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
KEYS = st.sampled_from(["return", "exited", "exitcode", "signal", "out-data", "err-data", "out-truncated", "pid", "error", "x"])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(["\x1b]0;evil\x07", "\ud800", "A===", "é"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=5)), max_leaves=10
)
STATUSES = st.fixed_dictionaries(
    {"exited": st.just(True)}, optional={key: SCALARS for key in ("exitcode", "signal", "out-data", "err-data")}
)


def outcome(tmp_path: Path, *answers: Any) -> Completed | LabError:
    """What comes of a command whose questions are answered so, through all that reads an answer."""
    file = tmp_path / "agent.jsonl"
    agent = Agent(Transcript(Script(*answers), file), "pc1")
    try:
        done = agent.run("true", timeout_s=0.02)
    except (AgentError, TimedOut) as refused:
        return refused
    finally:
        assert file.stat().st_size < 100_000
        file.unlink()
    assert 0 <= done.status <= 255
    return done


@QUIET
@given(pid=st.one_of(st.just({"pid": 7}), VALUES), status=st.one_of(STATUSES, VALUES))
def test_any_answer_is_a_result_or_a_refusal(tmp_path: Path, pid: Any, status: Any) -> None:
    outcome(tmp_path, pid, status)


@QUIET
@given(text=st.one_of(st.text(), VALUES.map(json.dumps), st.binary().map(lambda raw: raw.decode(errors="replace"))))
def test_any_text_is_an_answer_or_a_refusal(text: str) -> None:
    try:
        read_answer("pc1", text)
    except AgentError as refused:
        assert refused.what == "pc1: the guest agent's answer cannot be read"  # noqa: PT017 - either end is right


@pytest.mark.parametrize("deep", [900, 2_000, 100_000])
@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a":', "}")])
def test_an_answer_that_is_nested_without_end_is_refused(tmp_path: Path, deep: int, opened: str, closed: str) -> None:
    text = '{"return": ' + opened * deep + "1" + closed * deep + "}"
    try:
        answer = read_answer("pc1", text)
    except AgentError:
        return
    assert isinstance(outcome(tmp_path, answer), AgentError)
    assert isinstance(outcome(tmp_path, {"pid": 7}, {"exited": answer}), AgentError)


LIES = {
    "a status beyond a byte": {"exited": True, "exitcode": 256},
    "a negative status": {"exited": True, "exitcode": -1},
    "infinity": {"exited": True, "exitcode": float("inf")},
    "a fraction": {"exited": True, "exitcode": 0.5},
    "a truth value": {"exited": True, "exitcode": True},
    "a signal that is none": {"exited": True, "signal": 1 << 40},
    "an end that is no truth value": {"exited": "yes", "exitcode": 0},
    "no end": {"exitcode": 0},
    "padding that is wrong": {"exited": True, "exitcode": 0, "out-data": "A"},
    "letters that are no base64": {"exited": True, "exitcode": 0, "out-data": "日本"},
    "a list of output": {"exited": True, "exitcode": 0, "err-data": ["eA=="]},
}


@pytest.mark.parametrize("status", LIES.values(), ids=LIES.keys())
def test_a_lie_is_refused_by_what_it_says(tmp_path: Path, status: Any) -> None:
    refused = outcome(tmp_path, {"pid": 7}, status)
    assert isinstance(refused, AgentError)
    assert refused.why
    assert len(refused.why) < 300


@pytest.mark.parametrize("pid", [True, 0, 1, -1, 7.0, "7", None, [7]])
def test_a_process_id_that_would_end_others_is_none(tmp_path: Path, pid: Any) -> None:
    assert isinstance(outcome(tmp_path, {"pid": pid}), AgentError)


def test_a_command_that_is_said_to_run_for_ever_is_given_up(tmp_path: Path) -> None:
    assert isinstance(outcome(tmp_path, {"pid": 7}, {"exited": False}), TimedOut)


def test_output_beyond_what_can_be_is_refused_and_its_transcript_stays_short(tmp_path: Path) -> None:
    huge = base64.b64encode(bytes(25 << 20)).decode()
    assert isinstance(outcome(tmp_path, {"pid": 7}, {"exited": True, "exitcode": 0, "out-data": huge}), AgentError)


@pytest.mark.parametrize(
    "answer", [[0] * 1_000_000, {"x" * 1_000_000: 1}, {"x": "y" * 1_000_000}, {str(n): n for n in range(10_000)}, 10**30]
)
def test_the_transcript_is_short_whatever_is_said(tmp_path: Path, answer: Any) -> None:
    file = tmp_path / "agent.jsonl"
    Transcript(Script(answer), file).send({"execute": "guest-ping"}, timeout_s=1)
    assert file.stat().st_size < 60 * TRANSCRIPT_LIMIT
    assert json.loads(file.read_text())["asked"] == {"execute": "guest-ping"}


def test_this_is_tried_with_the_usual_limit_of_recursion() -> None:
    assert sys.getrecursionlimit() == 1000

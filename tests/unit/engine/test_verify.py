"""Checks on the lab in memory: order, verdicts, and what an error is."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from labctl.check.junit import render_junit, verify_suite
from labctl.check.report import verify_json
from labctl.check.verdict import CheckResult, State
from labctl.engine.events import Event
from labctl.engine.verify import run_check, verify, wait_ready
from labctl.errors import TimedOut, UsageError
from labctl.guest.agent import Completed
from labctl.lab.model import Check, Observation
from tests.unit.engine.fake_lab import FakeLab, address, check, switch_lab

PING = {"pc1": f"ping -c 3 {address('pc2')}"}
HEARD = {"wire": "pc2:eth1", "filter": "icmp", "frames": 6}
QUIET = {"wire": "pc3:eth1", "filter": "icmp", "frames": 0}


def ran(tmp_path: Path, *, captures_start: bool = True, broken: bool = False, **keys: Any) -> CheckResult:
    one = check("one", sabotage={"sw1": "switch broken on"}, **keys)
    target = FakeLab(switch_lab(one), tmp_path, captures_start=captures_start)
    target.world.broken = broken
    return run_check(target, one)


def test_frames_are_counted_while_do_runs(tmp_path: Path) -> None:
    result = ran(tmp_path, before=PING, do=PING, see=[{**HEARD, "witness": True}, QUIET])
    assert result.state is State.PASSED, result
    assert [one.verdict.seen.en for one in result.observations] == ["6 of 6 frames match", "0 of 0 frames match"]


def test_the_same_bytes_on_both_ends_of_a_cable(tmp_path: Path) -> None:
    assert ran(tmp_path, do=PING, see={**HEARD, "same_bytes_as": "sw1:port2"}).state is State.PASSED
    assert ran(tmp_path, do=PING, see={**HEARD, "same_bytes_as": "pc3:eth1"}).state is State.FAILED


def test_values_of_fields(tmp_path: Path) -> None:
    values = {"ip.src": [address("pc1"), address("pc2")], "icmp.seq": {"distinct": 3}}
    assert ran(tmp_path, do=PING, see={**HEARD, "values": values}).state is State.PASSED


def test_output_of_do_is_judged(tmp_path: Path) -> None:
    assert ran(tmp_path, do=PING, see={"output": "pc1", "contains": "3 received"}).state is State.PASSED


def test_a_stimulus_that_fails_is_an_error_and_observations_are_judged_all_the_same(tmp_path: Path) -> None:
    result = ran(tmp_path, broken=True, do=PING, see=HEARD)
    assert result.state is State.ERROR
    assert result.observations[0].state is State.FAILED
    assert result.do_ran
    assert result.do_error is not None
    assert result.do_error.en == f"do: pc1: `ping -c 3 {address('pc2')}` ended with status 1"


def test_a_stimulus_may_have_to_fail(tmp_path: Path) -> None:
    must_fail = {"pc1": {"run": f"ping -c 3 {address('pc2')}", "fails": True}}
    assert ran(tmp_path, broken=True, do=must_fail, see={**HEARD, "frames": 0}).do_error is None
    assert ran(tmp_path, do=must_fail, see=HEARD).state is State.ERROR


def test_a_stimulus_that_is_not_there_did_not_run(tmp_path: Path) -> None:
    result = ran(tmp_path, do={"pc1": "pign"}, see={"node": "sw1", "run": "table"})
    assert (result.state, result.do_ran) == (State.ERROR, False)


def test_a_command_that_does_not_end_is_an_error(tmp_path: Path) -> None:
    result = ran(tmp_path, do={"pc1": {"run": "hang", "within": "2s"}}, see={"node": "sw1", "run": "table"})
    assert result.state is State.ERROR
    assert result.do_error is not None
    assert "not within 0.04 s" in result.do_error.en


def test_a_capture_that_does_not_start_is_an_error_for_every_wire_and_only_for_them(tmp_path: Path) -> None:
    result = ran(tmp_path, captures_start=False, do=PING, see=[HEARD, QUIET, {"node": "sw1", "run": "table", "rows": 2}])
    assert [one.state for one in result.observations] == [State.ERROR, State.ERROR, State.PASSED]
    assert result.state is State.ERROR
    assert "did not start" in result.observations[0].verdict.seen.en


def test_a_node_that_does_not_answer_is_an_error(tmp_path: Path) -> None:
    result = ran(tmp_path, do={"power": {"sw1": "off"}}, see={"node": "sw1", "run": "table", "fails": True})
    assert result.observations[0].state is State.ERROR


def test_after_is_done_whatever_happened(tmp_path: Path) -> None:
    one = check("one", do={"pc1": "false"}, see={"node": "pc2", "run": "have x"}, after={"pc2": "touch x"}, sabotage={"cut": "pc1:eth1"})
    target = FakeLab(switch_lab(one), tmp_path)
    assert run_check(target, one).observations[0].state is State.FAILED
    assert target.world.files == {"pc2": {"x"}}


def test_what_is_started_is_stopped(tmp_path: Path) -> None:
    one = check("one", before={"pc1": {"start": "server $PORT"}}, see={"node": "pc1", "run": "true"}, sabotage={"cut": "pc1:eth1"})
    target = FakeLab(switch_lab(one), tmp_path)
    assert run_check(target, one).state is State.PASSED
    assert target.log == ["start on pc1", "stop on pc1"]
    assert target.background == {}


def test_within_looks_again_until_it_holds(tmp_path: Path) -> None:
    one = check("one", see={"node": "pc1", "run": "have x", "within": "60s"}, sabotage={"cut": "pc1:eth1"})
    looks: list[str] = []

    class Slow(FakeLab):
        def run_on(self, node: str, script: str, *, timeout_s: float) -> Completed:
            looks.append(script)
            if len(looks) == 2:
                self.world.files["pc1"] = {"x"}
            return super().run_on(node, script, timeout_s=timeout_s)

    target = Slow(switch_lab(one), tmp_path)
    assert run_check(target, one).state is State.PASSED
    assert len(looks) == 2


# --- the whole report ---


def two_checks() -> tuple[Check, ...]:
    return (
        check("passes", see={"node": "pc1", "run": "true"}, sabotage={"cut": "pc1:eth1"}),
        check("fails", see={"node": "pc1", "run": "false"}, sabotage={"cut": "pc1:eth1"}),
        check("open", see={"node": "pc1", "run": "have x"}, sabotage={"cut": "pc1:eth1"}, task=True, solution={"pc1": "touch x"}),
        check("elsewhere", see={"node": "pc1", "run": "false"}, sabotage={"cut": "pc1:eth1"}, variant="other"),
    )


def test_an_open_task_makes_no_lab_red(tmp_path: Path) -> None:
    target = FakeLab(switch_lab(*two_checks()), tmp_path)
    report = verify(target, ["passes", "open"])
    assert (report.state, report.exit_code) == (State.PASSED, 0)
    assert [one.in_words for one in report.checks] == ["passed", "open"]


def test_checks_of_another_variant_are_not_run(tmp_path: Path) -> None:
    events: list[Event] = []
    report = verify(FakeLab(switch_lab(*two_checks()), tmp_path), report=events.append)
    assert [(one.id, one.in_words) for one in report.checks] == [("passes", "passed"), ("fails", "failed"), ("open", "open")]
    assert report.exit_code == 1
    assert [one.what for one in events if one.kind == "note"] == ["check fails: failed", "check open: open task"]


def test_an_unknown_check_is_named_with_what_was_meant(tmp_path: Path) -> None:
    target = FakeLab(switch_lab(*two_checks()), tmp_path)
    with pytest.raises(UsageError) as refused:
        verify(target, ["passed"])
    assert refused.value.hint == "did you mean `passes`?"
    with pytest.raises(UsageError, match="it belongs to variant other"):
        verify(target, ["elsewhere"])


def test_the_report_as_data_and_as_junit(tmp_path: Path) -> None:
    report = verify(FakeLab(switch_lab(*two_checks()), tmp_path))
    data = verify_json(report)
    assert data["count"] == {"passed": 1, "failed": 1, "error": 0, "open": 1}
    assert data["checks"][1]["observations"][0]["expected"]["ja"] == "pc1: `false` が成功する"
    xml = render_junit([verify_suite(report, "ja")])
    assert 'name="verify switch" tests="3"' in xml
    assert 'failures="1" errors="0" skipped="1"' in xml
    assert "failed: pc1: `false` が成功する | 終了ステータス 1 で終わった、何も出力しなかった" in xml


# --- ready ---


def test_a_lab_is_ready_once_everything_holds(tmp_path: Path) -> None:
    ready = TypeAdapter[Observation](Observation).validate_python({"node": "pc1", "run": "have x"})
    target = FakeLab(switch_lab(ready=(ready,)), tmp_path)
    with pytest.raises(TimedOut) as late:
        wait_ready(target, timeout_s=5)
    assert "pc1: `have x` succeeds: it ended with status 1" in late.value.why
    target.world.files["pc1"] = {"x"}
    wait_ready(target, timeout_s=5)


def test_what_is_compared_is_asked_before_the_stimulus_and_after_it(tmp_path: Path) -> None:
    see = [{"node": "sw1", "run": "table", "compared": "different"}, {"node": "pc3", "run": "have x", "compared": "same"}]
    one = check("learns", do={"pc1": "ping -c 1 192.168.1.12"}, see=see, sabotage={"cut": "pc1:eth1"})
    lab = FakeLab(switch_lab(one), tmp_path)
    assert [seen.state for seen in run_check(lab, one).observations] == [State.PASSED, State.FAILED], "pc3 has no x: its status is 1"
    assert [seen.state for seen in run_check(lab, one).observations][0] is State.FAILED, "the table is known by now"

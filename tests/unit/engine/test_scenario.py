"""Scenarios on the simulated lab: moments on time, probes that see them, looks during windows, a lab that is put back."""

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from labctl.check.verdict import State
from labctl.engine.events import Event
from labctl.engine.scenario import play_scenario
from labctl.engine.stimulus import Stage
from labctl.engine.verify import run_check
from labctl.lab.model import Check, Text
from labctl.lab.scenarios import Scenario, ScenarioEntry
from labctl.lab.values import seconds_of
from tests.unit.engine.fake_lab import FakeLab, check, switch_lab

ENTRY: TypeAdapter[ScenarioEntry] = TypeAdapter(ScenarioEntry)
PROBE = {"ping": "pc1 -> 192.168.1.12", "every": "20ms"}


def scenario(*timeline: Any) -> Scenario:
    entry = ENTRY.validate_python({"probe": PROBE, "timeline": list(timeline)})
    moments = tuple((seconds_of(one.at), one.actions) for one in entry.timeline if one.actions)
    return Scenario("faults", Text(en="faults"), entry.probes, moments, seconds_of(entry.timeline[-1].at))


def lab_with(tmp_path: Path, one: Scenario, *checks: Check) -> FakeLab:
    from dataclasses import replace

    return FakeLab(replace(switch_lab(*checks), scenarios=(one,)), tmp_path)


def test_faults_happen_on_time_are_seen_and_told_and_nothing_stays(tmp_path: Path) -> None:
    faults = scenario("500ms cut pc1:eth1", "1300ms restore pc1:eth1", "2s impair pc2:eth1 loss=100%", "3s end")
    lab, told = lab_with(tmp_path, faults), []
    stage = Stage(lab)
    run = play_scenario(stage, faults, (), lambda event: told.append(event)).run
    assert stage.troubles == []
    assert all(one.at_s <= one.began_s <= one.done_s for one in run.happenings)
    first, second = run.probes[0].gaps
    cut, restored = run.happenings[:2]
    assert cut.began_s - 0.1 <= first.from_s <= cut.done_s + 0.1, "the clock of a node is told in hundredths"
    assert restored.began_s - 0.1 <= first.to_s <= restored.done_s + 0.1
    assert second.to_s == 3
    assert len(run.probes[0].samples) in range(148, 152)
    assert lab.log[-2:] == ["clear pc2:eth1", "stop on pc1"]
    assert lab.background == {}
    said = [event.what for event in told if isinstance(event, Event)]
    assert any("no answer" in what for what in said)
    assert any("answers again, 0." in what for what in said)


def test_an_action_that_cannot_be_done_is_a_trouble_and_the_rest_goes_on(tmp_path: Path) -> None:
    faults = scenario({"100ms pc1": "nonsense"}, "200ms cut pc1:eth1", "400ms end")
    lab = lab_with(tmp_path, faults)
    stage = Stage(lab)
    run = play_scenario(stage, faults).run
    assert run.happenings[0].trouble is not None
    assert run.happenings[1].trouble is None
    assert len(stage.troubles) == 1
    assert "cut pc1:eth1" in lab.log
    assert "restore pc1:eth1" in lab.log


def test_a_check_looks_at_its_scenario_during_windows_and_afterwards(tmp_path: Path) -> None:
    faults = scenario("1s cut pc1:eth1", "3s end")
    see = [
        {"probe": "longest_gap", "at_least": "1ms", "at_most": "2s"},
        {"reach": "pc1 -> 192.168.1.12", "during": "0s..900ms", "witness": True},
        {"reach": "pc1 -> 192.168.1.12", "during": "0s..3s"},
        {"reach": "pc1 -> 192.168.1.12", "fails": True, "during": "2s..3s"},
    ]
    one = check("heals", scenario="faults", see=see, sabotage={"cut": "pc1:eth1"})
    result = run_check(lab_with(tmp_path, faults, one), one)
    states = [seen.state for seen in result.observations]
    assert states == [State.PASSED, State.PASSED, State.FAILED, State.PASSED], [seen.verdict.seen.en for seen in result.observations]
    assert result.do_error is None


def test_a_probe_that_does_not_run_makes_an_error_of_the_check(tmp_path: Path) -> None:
    faults = scenario("100ms end")
    one = check("never", scenario="faults", see={"probe": "loss", "at_most": "0%"}, sabotage={"cut": "pc1:eth1"})
    lab = lab_with(tmp_path, faults, one)
    lab.world.off.add("pc1")
    result = run_check(lab, one)
    assert result.state is State.ERROR
    assert not result.do_ran

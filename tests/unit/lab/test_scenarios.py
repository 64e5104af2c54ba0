"""The short forms of a timeline, and what a scenario means once it is read."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from labctl.lab.actions import Actions
from labctl.lab.scenarios import MomentEntry, PingProbe, probe_words
from tests.unit.lab.conftest import LoadText

MOMENT: TypeAdapter[Any] = TypeAdapter(MomentEntry)
ACTIONS: TypeAdapter[Any] = TypeAdapter(Actions)
LAB = """
nodes: {a1: host, a2: host}
links: ["a1:eth1 -- a2:eth1"]
scenarios:
  cut:
    probe: {ping: a1 -> a2, every: 50ms}
    timeline: [500ms cut a1:eth1, 2s a1..a2: uptime, 1m restore a1:eth1, 2m end]
    after: {a1: "true"}
checks:
  - {id: one, says: one, do: {a2: "true"}, scenario: cut, see: {probe: loss, at_most: 1%}, sabotage: {cut: a1:eth1}}
"""


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("5s cut r1:eth1", {"cut": "r1:eth1"}),
        ("5s restore r1:eth1", {"restore": "r1:eth1"}),
        ("5s clear r1:eth1", {"clear": "r1:eth1"}),
        ("5s impair r1:eth1 loss=100% mtu=1400 one_way", {"impair": "r1:eth1", "loss": "100%", "mtu": 1400, "one_way": True}),
        ("5s move pc1:eth1 -> sw1:port5", {"move": "pc1:eth1 -> sw1:port5"}),
        ("5s power r1 off", {"power": {"r1": "off"}}),
        ("5s kill r1 ospfd", {"r1": "pkill -KILL -x ospfd"}),
        ("5s stop web1 nginx", {"web1": "systemctl stop nginx"}),
        ("5s start web1 nginx", {"web1": "systemctl start nginx"}),
        ({"5s r1..r2": "uptime"}, {"r1": "uptime", "r2": "uptime"}),
        ({"at": "5s", "do": {"cut": "r1:eth1"}}, {"cut": "r1:eth1"}),
    ],
)
def test_a_moment_in_short_is_the_action_in_long(text: Any, action: dict[str, Any]) -> None:
    moment = MOMENT.validate_python(text)
    assert (moment.at, moment.actions, moment.end) == ("5s", ACTIONS.validate_python([action]), False)


def test_the_end_is_a_moment() -> None:
    assert MOMENT.validate_python("30s end").end


def test_a_scenario_knows_its_moments_its_end_and_all_that_it_does(load_text: LoadText) -> None:
    lab = load_text(LAB)
    scenario = lab.scenario("cut")
    assert [at_s for at_s, _ in scenario.moments] == [0.5, 2, 60]
    assert scenario.end_s == 120
    assert scenario.probes == {"ping": PingProbe(ping="a1 -> a2", every="50ms")}
    assert probe_words(scenario.probes["ping"]) == "ping a1 -> a2"
    assert len(scenario.actions) == 4
    assert lab.actions_of(lab.checks[0]) == (*lab.checks[0].do, *scenario.actions)

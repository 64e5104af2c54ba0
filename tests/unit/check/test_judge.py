"""Verdicts on recorded answers: what holds, what does not, and what tells nothing."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from labctl.check.frames import Frame, Sight
from labctl.check.judge import Answer, Evidence, judge
from labctl.check.verdict import State, Verdict
from labctl.check.wording import same
from labctl.lab.model import Observation
from tests.unit.engine.fake_lab import switch_lab

OBSERVATION: TypeAdapter[Observation] = TypeAdapter(Observation)
LAB = switch_lab()


def verdict(answer: Answer | tuple[Answer, ...], **keys: Any) -> Verdict:
    answers = answer if isinstance(answer, tuple) else (answer,)
    return judge(OBSERVATION.validate_python(keys), Evidence(answers=answers), LAB)


def printed(text: str, status: int = 0, stderr: str = "") -> Answer:
    return Answer(status, text.encode(), stderr.encode())


# --- run and output ---


def test_a_command_passes_by_its_status_and_its_text() -> None:
    seen = verdict(printed("port1\n"), node="sw1", run="bridge", contains="port1")
    assert seen.state is State.PASSED
    assert seen.expected.en == "sw1: `bridge` succeeds; prints “port1”"
    assert seen.expected.ja == "sw1: `bridge` が成功する、出力に「port1」がある"
    assert seen.seen.en == "it printed “port1”"


def test_a_command_that_ends_badly_is_failed() -> None:
    seen = verdict(printed("", 2, "no such device\n"), node="sw1", run="x")
    assert seen.state is State.FAILED
    assert seen.seen.en == "it ended with status 2: no such device; it printed nothing"


def test_a_command_that_must_fail() -> None:
    assert verdict(printed("", 1), node="sw1", run="x", fails=True).state is State.PASSED
    assert verdict(printed("", 0), node="sw1", run="x", fails=True).state is State.FAILED


@pytest.mark.parametrize(
    "answer", [printed("", 127, "sh: 1: brigde: not found"), printed("", 126), Answer(trouble=same("the agent does not answer"))]
)
def test_what_could_not_run_is_an_error_even_if_it_must_fail(answer: Answer) -> None:
    assert verdict(answer, node="sw1", run="x", fails=True).state is State.ERROR


def test_a_bad_expression_is_an_error() -> None:
    assert verdict(printed("a"), node="sw1", run="x", matches="(").state is State.ERROR


def test_output_of_a_command_that_did_not_run_is_an_error() -> None:
    assert verdict((), output="pc1", rows=0).state is State.ERROR
    assert verdict(printed("a\n"), output="pc1", rows=1).state is State.PASSED


def test_what_a_guest_prints_is_made_harmless() -> None:
    assert "\x1b" not in verdict(printed("\x1b[2Jgone"), node="sw1", run="x", equals="y").seen.en


# --- reach ---

PING_SILENT = "PING 10.0.0.9 (10.0.0.9) 56(84) bytes of data.\n\n--- 10.0.0.9 ping statistics ---\n3 packets transmitted, 0 received\n"


@pytest.mark.parametrize(
    ("by", "answer", "state"),
    [
        ("ping", printed("…", 0), State.PASSED),
        ("ping", printed(PING_SILENT, 1), State.FAILED),
        ("ping", printed("", 2, "ping: connect: Network is unreachable"), State.FAILED),
        ("ping", printed("", 2, "ping: nosuch: Name or service not known"), State.ERROR),
        ("ping", printed("", 127, "sh: 1: ping: not found"), State.ERROR),
        ("tcp/80", printed("", 0, "Connection to 10.0.0.9 80 port [tcp/http] succeeded!"), State.PASSED),
        ("tcp/80", printed("", 1, "nc: connect to 10.0.0.9 port 80 (tcp) failed: Connection refused"), State.FAILED),
        ("tcp/80", printed("", 1, "nc: connect to 10.0.0.9 port 80 (tcp) timed out: Operation now in progress"), State.FAILED),
        ("tcp/80", printed("", 1, "nc: connect to 10.0.0.9 port 80 (tcp) failed: No route to host"), State.FAILED),
        ("tcp/80", printed("", 1, 'nc: getaddrinfo for host "x" port 80: Name or service not known'), State.ERROR),
        ("udp/53", printed("answered\n"), State.PASSED),
        ("udp/53", printed("silent\n"), State.FAILED),
        ("udp/53", printed("refused\n"), State.FAILED),
        ("udp/53", printed("", 1, "socket.gaierror: [Errno -2] Name or service not known"), State.ERROR),
        ("http", printed("200\n"), State.PASSED),
        ("http", printed("301\n"), State.PASSED),
        ("http", printed("403\n"), State.FAILED),
        ("http", printed("000\n", 7, "curl: (7) Failed to connect to 10.0.0.9 port 80: Connection refused"), State.FAILED),
        ("http", printed("000\n", 28, "curl: (28) Connection timed out after 5000 milliseconds"), State.FAILED),
        ("http", printed("000\n", 3, "curl: (3) URL using bad/illegal format"), State.ERROR),
    ],
)
def test_reach(by: str, answer: Answer, state: State) -> None:
    assert verdict(answer, reach="pc1 -> 10.0.0.9", by=by).state is state
    turned = {State.PASSED: State.FAILED, State.FAILED: State.PASSED, State.ERROR: State.ERROR}
    assert verdict(answer, reach="pc1 -> 10.0.0.9", by=by, fails=True).state is turned[state]


# --- route ---

ROUTE = '[{"dst":"10.3.0.0/24","gateway":"10.0.12.2","dev":"eth1","metric":20,"flags":[]}]'
TWO_WAYS = """[{"dst":"10.3.0.0/24","flags":[],"nexthops":[
  {"gateway":"10.0.12.2","dev":"eth1","weight":1,"flags":[]},
  {"gateway":"10.0.14.2","dev":"eth2","weight":1,"flags":["linkdown"]}]}]"""


@pytest.mark.parametrize(
    ("keys", "text", "state"),
    [
        ({}, ROUTE, State.PASSED),
        ({"next_hop": "10.0.12.2", "interface": "eth1", "metric": 20}, ROUTE, State.PASSED),
        ({"next_hop": "10.0.14.2"}, ROUTE, State.FAILED),
        ({"interface": "eth2"}, ROUTE, State.FAILED),
        ({"metric": 0}, ROUTE, State.FAILED),
        ({}, "[]", State.FAILED),
        ({"absent": True}, "[]", State.PASSED),
        ({"absent": True}, ROUTE, State.FAILED),
        ({"next_hop": "10.0.14.2"}, TWO_WAYS, State.PASSED),
        ({"next_hop": "10.0.14.2", "interface": "eth1"}, TWO_WAYS, State.FAILED),
        ({}, "nonsense", State.ERROR),
        ({"absent": True}, '{"a": 1}', State.ERROR),
    ],
)
def test_routes(keys: dict[str, Any], text: str, state: State) -> None:
    assert verdict(printed(text), route={"r1": "10.3.0.0/24"}, **keys).state is state


def test_the_route_that_was_seen_is_told() -> None:
    seen = verdict(printed(TWO_WAYS), route={"r1": "10.3.0.0/24"}, metric=5)
    assert seen.seen.en == "r1: 10.3.0.0/24 via 10.0.12.2 dev eth1, 10.3.0.0/24 via 10.0.14.2 dev eth2 (link down)"


# What FRR 8.4.4 printed in lab dynamic-routing, less what nobody asks for; beside it a route of its own that is not the best.
FRR = """{"10.3.0.0/24":[
  {"prefix":"10.3.0.0/24","protocol":"ospf","selected":true,"distance":110,"metric":30,"installed":true,
   "nexthops":[{"flags":3,"fib":true,"ip":"10.0.12.2","afi":"ipv4","interfaceIndex":3,"interfaceName":"eth1","active":true,"weight":1}]},
  {"prefix":"10.3.0.0/24","protocol":"rip","distance":120,"metric":3,
   "nexthops":[{"flags":1,"ip":"10.0.14.4","afi":"ipv4","interfaceIndex":4,"interfaceName":"eth2","active":true}]}]}"""


@pytest.mark.parametrize(
    ("keys", "text", "state"),
    [
        ({"from": "ospf"}, FRR, State.PASSED),
        ({"from": "ospf", "next_hop": "10.0.12.2", "interface": "eth1", "metric": 30}, FRR, State.PASSED),
        ({"from": "ospf", "metric": 20}, FRR, State.FAILED),
        ({"from": "ospf", "next_hop": "10.0.14.4"}, FRR, State.FAILED),
        ({"from": "rip"}, FRR, State.FAILED),
        ({"from": "static", "absent": True}, FRR, State.PASSED),
        ({"from": "ospf"}, "{}", State.FAILED),
        ({"from": "ospf"}, "% Unknown command: show ip route", State.ERROR),
        ({"from": "ospf", "absent": True}, '{"a": 1}', State.ERROR),
    ],
)
def test_routes_as_frr_tells_them(keys: dict[str, Any], text: str, state: State) -> None:
    assert verdict(printed(text), route={"r1": "10.3.0.0/24"}, **keys).state is state


def test_routes_of_several_nodes_must_all_be_there() -> None:
    both = {"r1": "10.3.0.0/24", "r2": "10.3.0.0/24"}
    assert verdict((printed(ROUTE), printed("[]")), route=both).state is State.FAILED
    assert verdict((printed(ROUTE), printed(ROUTE)), route=both).state is State.PASSED
    assert verdict((printed(ROUTE), printed("", 1, "Error: any valid prefix is expected")), route=both).state is State.ERROR


# --- path ---


@pytest.mark.parametrize(
    ("via", "lines", "state", "seen"),
    [
        (
            ["pc1", "pc2"],
            " 1  192.168.1.11  3061.1 ms\n 2  192.168.1.12  1 ms\n 3  10.3.0.10  2 ms\n",
            State.PASSED,
            "pc1 → pc2 → 10.3.0.10",
        ),
        (["pc1"], " 1  192.168.1.11  1 ms\n 2  192.168.1.12  1 ms\n 3  10.3.0.10  2 ms\n", State.FAILED, "pc1 → pc2 → 10.3.0.10"),
        ([], " 1  10.3.0.10  2 ms\n", State.PASSED, "10.3.0.10"),
        ([], " 1  *\n 2  *\n", State.FAILED, "? (it did not arrive)"),
        (["pc1"], " 1  192.168.1.11  1 ms\n 2  192.168.1.11  1 ms !H\n", State.FAILED, "pc1 → pc1!H → ? (it did not arrive)"),
        (["pc1"], " 1  192.168.1.11  1 ms\n 2  *\n 3  *\n", State.FAILED, "pc1 → ? (it did not arrive)"),
        (["pc1"], " 1  10.9.9.9  1 ms\n 2  10.3.0.10  1 ms\n", State.FAILED, "10.9.9.9 → 10.3.0.10"),
    ],
)
def test_paths(via: list[str], lines: str, state: State, seen: str) -> None:
    title = "traceroute to 10.3.0.10 (10.3.0.10), 7 hops max, 60 byte packets\n"
    found = verdict(printed(title + lines), path="pc3 -> 10.3.0.10", via=via)
    assert (found.state, found.seen.en) == (state, seen)


def test_no_way_at_all_is_no_error() -> None:
    assert verdict(printed("", 1, "\nconnect: Network is unreachable"), path="pc3 -> 10.3.0.10", via=[]).state is State.FAILED
    assert verdict(printed("", 2, "nosuch: Name or service not known"), path="pc3 -> nosuch", via=[]).state is State.ERROR


# --- wires ---


def frames(*values: str, data: bytes = b"") -> tuple[Frame, ...]:
    return tuple(Frame(number, {"ip.src": (value,)}, data + value.encode()) for number, value in enumerate(values, 1))


def on_wire(found: tuple[Frame, ...], other: tuple[Frame, ...] | None = None, **keys: Any) -> Verdict:
    observation = OBSERVATION.validate_python({"wire": "pc1:eth1", **keys})
    return judge(observation, Evidence(sight=Sight(found, 9), other=None if other is None else Sight(other, 9)), LAB)


@pytest.mark.parametrize(
    ("keys", "state"),
    [
        ({"frames": 2}, State.PASSED),
        ({"frames": 3}, State.FAILED),
        ({"frames": {"at_least": 1}}, State.PASSED),
        ({"frames": {"at_most": 1}}, State.FAILED),
        ({"values": {"ip.src": ["a", "b"]}}, State.PASSED),
        ({"values": {"ip.src": ["a"]}}, State.FAILED),
        ({"values": {"ip.src": ["a", "b", "c"]}}, State.FAILED),
        ({"values": {"ip.src": {"distinct": 2}}}, State.PASSED),
        ({"values": {"ip.src": {"distinct": {"at_most": 1}}}}, State.FAILED),
        ({"values": {"ip.dst": ["a"]}}, State.FAILED),
        ({"frames": 1, "values": {"ip.src": ["a", "b"]}}, State.FAILED),
    ],
)
def test_frames_and_values(keys: dict[str, Any], state: State) -> None:
    assert on_wire(frames("a", "b"), **keys).state is state


def test_of_no_frame_nothing_is_true_but_its_absence() -> None:
    assert on_wire((), frames=0).state is State.PASSED
    assert on_wire((), values={"ip.src": {"distinct": {"at_most": 3}}}).state is State.FAILED
    assert on_wire((), (), same_bytes_as="pc2:eth1").state is State.FAILED


def test_the_same_bytes() -> None:
    keys: dict[str, Any] = {"frames": 2, "same_bytes_as": "pc2:eth1"}
    assert on_wire(frames("a", "b"), frames("b", "a"), **keys).state is State.PASSED
    changed = on_wire(frames("a", "b"), frames("a", "c"), **keys)
    assert changed.state is State.FAILED
    assert "frames that differ from those at pc2:eth1: 1 here, 1 there" in changed.seen.en
    assert on_wire(frames("a", "a"), frames("a"), **keys).state is State.FAILED


def test_values_are_compared_by_what_they_mean() -> None:
    found = (Frame(1, {"eth.type": ("0x0800",), "eth.src": ("52:54:00:AA:00:01",), "tcp.flags.syn": ("True",)}),)
    assert on_wire(found, values={"eth.type": ["2048"], "eth.src": ["52:54:00:aa:00:01"], "tcp.flags.syn": ["1"]}).state is State.PASSED


def test_a_wire_that_was_not_captured_is_an_error() -> None:
    observation = OBSERVATION.validate_python({"wire": "pc1:eth1", "frames": 0})
    assert judge(observation, Evidence(), LAB).state is State.ERROR
    assert judge(observation, Evidence(sight=Sight(trouble=same("no such device"))), LAB).state is State.ERROR


# --- neighbours and what was before ---

TABLE = (
    '[{"dst":"192.168.1.12","dev":"eth1","lladdr":"52:54:00:00:00:12","state":["REACHABLE"]},'
    '{"dst":"192.168.1.12","dev":"eth2","state":["FAILED"]}]'
)


@pytest.mark.parametrize(
    ("text", "keys", "state"),
    [
        (TABLE, {}, State.PASSED),
        (TABLE, {"mac": "52:54:00:00:00:12", "interface": "eth1"}, State.PASSED),
        (TABLE, {"mac": "pc2:eth1"}, State.PASSED),
        (TABLE, {"mac": "pc3:eth1"}, State.FAILED),
        (TABLE, {"interface": "eth2"}, State.FAILED),
        (TABLE, {"absent": True}, State.FAILED),
        ('[{"dst":"192.168.1.12","dev":"eth1","state":["INCOMPLETE"]}]', {}, State.FAILED),
        ('[{"dst":"192.168.1.12","dev":"eth1","lladdr":"52:54:00:00:00:12","state":["FAILED"]}]', {"absent": True}, State.PASSED),
        ("[]", {"absent": True}, State.PASSED),
        ("", {}, State.FAILED),
        ("nonsense", {}, State.ERROR),
        ("{}", {}, State.ERROR),
    ],
)
def test_a_neighbour_is_known_while_its_entry_has_an_answer(text: str, keys: dict[str, Any], state: State) -> None:
    assert verdict(printed(text), neighbour={"pc1": "192.168.1.12"}, **keys).state is state


@pytest.mark.parametrize(
    ("how", "before", "now", "state"),
    [
        ("same", "a\n", "a", State.PASSED),
        ("same", "a", "b", State.FAILED),
        ("different", "a", "b", State.PASSED),
        ("different", "a", "a", State.FAILED),
        ("more", "rx 9 frames", "rx 10 frames", State.PASSED),
        ("more", "10", "10", State.FAILED),
        ("less", "10", "9.5", State.PASSED),
        ("less", "9", "10", State.FAILED),
        ("more", "none", "10", State.ERROR),
    ],
)
def test_what_a_command_prints_is_compared_with_what_it_printed_before(how: str, before: str, now: str, state: State) -> None:
    observation = OBSERVATION.validate_python({"node": "pc1", "run": "x", "compared": how})
    evidence = Evidence(answers=(printed(now),), earlier=printed(before))
    assert judge(observation, evidence, LAB).state is state


def test_what_was_not_asked_before_cannot_be_compared() -> None:
    assert verdict(printed("a"), node="pc1", run="x", compared="same").state is State.ERROR
    observation = OBSERVATION.validate_python({"node": "pc1", "run": "x", "compared": "same"})
    evidence = Evidence(answers=(printed("a"),), earlier=Answer(trouble=same("the agent does not answer")))
    assert judge(observation, evidence, LAB).state is State.ERROR

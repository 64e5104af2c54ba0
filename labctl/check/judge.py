"""Evidence → verdict: what answers of nodes and frames on wires say about an observation. Pure.

Owns when an observation is *failed* and when it is an *error*: no answer, a command that is not there, a filter that cannot be read.
What was asked is `check/ask.py`'s; sentences about what was expected are `check/wording.py`'s.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from labctl.check.frames import Sight
from labctl.check.judge_wire import look_at_frames
from labctl.check.neighbours import fits, parse_neighbours
from labctl.check.probes import ScenarioRun, look_at_probe
from labctl.check.readable import last_line, one_line, readable
from labctl.check.routes import FoundRoute, nodes_by_address, parse_frr_routes, parse_hops, parse_routes
from labctl.check.texts import expects_text, unmet
from labctl.check.verdict import State, Verdict
from labctl.check.wording import both, expected_words, joined, prefixed, same
from labctl.lab.model import (
    NeighbourSeen,
    Observation,
    OutputSeen,
    PathSeen,
    ProbeSeen,
    ReachSeen,
    RouteSeen,
    RunSeen,
    Text,
    TextExpectations,
    WireSeen,
)
from labctl.lab.topology import Lab

NOT_RUN = (126, 127)  # sh: found but not executable; not found
CURL_NOT_REACHED = {7, 28, 35, 52, 55, 56}  # curl(1): refused or no way, time-out, TLS handshake, empty answer, send, receive
LONGEST_OUTPUT = 400
_NOT_REACHED = re.compile(r"refused|timed out|unreachable|no route to host|not permitted|permission denied|ping broadcast", re.IGNORECASE)
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_TITLE = re.compile(r"^traceroute to \S+ \(([^)]+)\)")


@dataclass(frozen=True)
class Answer:
    """How a command in a node ended. `trouble`: there is no answer, so nothing can be told; `late`: because its time was up."""

    status: int = 0
    stdout: bytes = b""
    stderr: bytes = b""
    trouble: Text | None = None
    late: bool = False

    @property
    def text(self) -> str:
        return self.stdout.decode(errors="replace")

    @property
    def complaint(self) -> str:
        return last_line(self.stderr) or last_line(self.stdout)


@dataclass(frozen=True)
class Evidence:
    """`answers`: one for each question, in their order; of `do`'s output, one. `sight`, `other`: of the wire, of `same_bytes_as`;
    `run`: of the check's scenario; `earlier`: the answer before `do`."""

    answers: tuple[Answer, ...] = ()
    sight: Sight | None = None
    other: Sight | None = None
    run: ScenarioRun | None = None
    earlier: Answer | None = None


Finding = tuple[bool, Text]


class CannotTell(Exception):
    """Nothing can be said about the observation, for this reason."""

    def __init__(self, why: Text) -> None:
        super().__init__(why.en)
        self.why = why


def judge(observation: Observation, evidence: Evidence, lab: Lab) -> Verdict:
    """The verdict on one observation."""
    expected = expected_words(observation)
    try:
        held, seen = _look(observation, evidence, lab)
    except CannotTell as reason:
        return Verdict(State.ERROR, expected, reason.why)
    return Verdict(State.PASSED if held else State.FAILED, expected, seen)


def _look(observation: Observation, evidence: Evidence, lab: Lab) -> Finding:
    match observation:
        case WireSeen():
            return _wire(observation, evidence)
        case RunSeen():
            return _run(observation, _only(evidence.answers), evidence.earlier)
        case OutputSeen():
            return _output(observation, _only(evidence.answers))
        case ReachSeen():
            return _reach(observation, _only(evidence.answers))
        case RouteSeen():
            return _routes(observation, [_answered(answer) for answer in evidence.answers])
        case ProbeSeen():
            return _probe(observation, evidence.run)
        case NeighbourSeen():
            return _neighbours(observation, [_answered(answer) for answer in evidence.answers], lab)
        case PathSeen():
            return _path(observation, _only(evidence.answers), lab)


def _only(answers: Sequence[Answer]) -> Answer:
    if not answers:
        raise CannotTell(both("it did not run", "実行されなかった"))
    return _answered(answers[0])


def _answered(answer: Answer) -> Answer:
    if answer.trouble is not None:
        raise CannotTell(answer.trouble)
    if answer.status in NOT_RUN:
        raise CannotTell(both(f"the command cannot be run: {answer.complaint}", f"コマンドを実行できない: {answer.complaint}"))
    return answer


def _wire(observation: WireSeen, evidence: Evidence) -> Finding:
    sights = [evidence.sight] if observation.same_bytes_as is None else [evidence.sight, evidence.other]
    looked = []
    for sight in sights:
        if sight is None:
            raise CannotTell(both("the capture did not run", "キャプチャーが動かなかった"))
        if sight.trouble is not None:
            raise CannotTell(sight.trouble)
        looked.append(sight)
    return look_at_frames(observation, looked[0], looked[-1] if observation.same_bytes_as else None)


# --- text --------------------------------------------------------------------------------------------------------------------


def _run(observation: RunSeen, answer: Answer, earlier: Answer | None) -> Finding:
    complaints = []
    if observation.fails and answer.status == 0:
        complaints.append(both("it succeeded", "成功した"))
    if not observation.fails and answer.status != 0:
        why = f": {last_line(answer.stderr)}" if last_line(answer.stderr) else ""
        complaints.append(both(f"it ended with status {answer.status}{why}", f"終了ステータス {answer.status} で終わった{why}"))
    if observation.compared is not None:
        complaints += _compared(observation.compared, earlier, answer)
    return _text_finding(observation, answer, complaints)


def _compared(how: str, earlier: Answer | None, answer: Answer) -> list[Text]:
    """What is wrong between the two answers; the one before is told."""
    if earlier is None:
        raise CannotTell(both("it was not asked before", "事前に実行されなかった"))
    before, now = _answered(earlier).text.strip(), answer.text.strip()
    if how in ("more", "less"):
        first, second = _number(before), _number(now)
        held = second > first if how == "more" else second < first
        shown = both(f"{first:g} before, {second:g} now", f"前は {first:g}、今は {second:g}")
    else:
        held = (before == now) is (how == "same")
        shown = both(f"before it printed “{one_line(before)}”", f"前の出力は「{one_line(before)}」")
    return [] if held else [shown]


def _number(text: str) -> float:
    if (found := _NUMBER.search(text)) is None:
        raise CannotTell(both(f"no number in “{one_line(text)}”", f"「{one_line(text)}」に数がない"))
    return float(found[0])


def _output(observation: OutputSeen, answer: Answer) -> Finding:
    nothing = not expects_text(observation) and not answer.text.strip()
    return _text_finding(observation, answer, [], must_print=nothing)


def _text_finding(expect: TextExpectations, answer: Answer, complaints: list[Text], *, must_print: bool = False) -> Finding:
    try:
        complaints = [*complaints, *unmet(expect, answer.text)]
    except (ValueError, RecursionError) as unreadable:
        raise CannotTell(same(one_line(str(unreadable)))) from unreadable
    return not complaints and not must_print, joined([*complaints, _printed(answer)])


def _printed(answer: Answer) -> Text:
    shown = readable(answer.stdout, LONGEST_OUTPUT)
    if not shown:
        return both("it printed nothing", "何も出力しなかった")
    return both(f"it printed:\n{shown}", f"出力:\n{shown}") if "\n" in shown else both(f"it printed “{shown}”", f"出力「{shown}」")


# --- reach -------------------------------------------------------------------------------------------------------------------


def _reach(observation: ReachSeen, answer: Answer) -> Finding:
    kind = observation.by.partition("/")[0]
    reached, seen = {"ping": _by_ping, "tcp": _by_tcp, "udp": _by_udp, "http": _by_http}[kind](answer)
    return reached is not observation.fails, seen


def _by_ping(answer: Answer) -> Finding:
    if answer.status == 0:
        return True, both("it answered", "応答した")
    if answer.status == 1 and "transmitted" in answer.text:
        summary = next(line for line in readable(answer.stdout).splitlines() if "transmitted" in line)
        return False, both(f"no answer ({summary})", f"応答がない（{summary}）")
    return _refusal(answer)


def _by_tcp(answer: Answer) -> Finding:
    return (True, both("it accepted", "接続できた")) if answer.status == 0 else _refusal(answer)


def _by_udp(answer: Answer) -> Finding:
    words = {
        "answered": both("it answered", "応答した"),
        "refused": both("the port is closed (ICMP port unreachable)", "ポートが閉じている（ICMP port unreachable）"),
        "unreachable": both("the address is unreachable", "アドレスに到達できない"),
        "silent": both("no answer", "応答がない"),
    }
    said = answer.text.strip()
    return (said == "answered", words[said]) if answer.status == 0 and said in words else _refusal(answer)


def _by_http(answer: Answer) -> Finding:
    said = answer.text.strip()
    if answer.status == 0 and said.isdigit():
        return int(said) < 400, both(f"the answer is HTTP {said}", f"HTTP {said} が返った")
    if answer.status in CURL_NOT_REACHED:
        return False, same(last_line(answer.stderr) or f"curl: {answer.status}")
    return _refusal(answer)


def _refusal(answer: Answer) -> Finding:
    """Not reached, if the network says so; anything else (a name that is unknown, wrong usage) tells nothing."""
    if _NOT_REACHED.search(answer.stderr.decode(errors="replace")):
        return False, same(answer.complaint)
    raise CannotTell(same(answer.complaint or f"status {answer.status}"))


def _probe(observation: ProbeSeen, run: ScenarioRun | None) -> Finding:
    found = look_at_probe(observation, run) if run is not None else None
    if found is None:
        raise CannotTell(both("no probe was sent", "プローブが送られなかった"))
    return found


# --- routes and paths --------------------------------------------------------------------------------------------------------


def _routes(observation: RouteSeen, answers: Sequence[Answer]) -> Finding:
    findings = [_route(observation, answer) for answer in answers]
    if len(findings) != len(observation.route):
        raise CannotTell(both("not every node was asked", "すべてのノードに尋ねられなかった"))
    seen = [prefixed(node, finding[1]) for node, finding in zip(observation.route, findings, strict=True)]
    return all(held for held, _ in findings), joined(seen)


def _route(observation: RouteSeen, answer: Answer) -> Finding:
    try:
        if answer.status != 0:
            raise ValueError(answer.complaint)
        found = parse_routes(answer.text) if observation.source is None else parse_frr_routes(answer.text, observation.source)
    except (ValueError, RecursionError) as unreadable:
        why, who = one_line(str(unreadable)), "ip" if observation.source is None else "vtysh"
        raise CannotTell(both(f"{who} gave no answer: {why}", f"{who} の答えがない: {why}")) from unreadable
    there = any(_fits(observation, route) for route in found)
    listed = one_line(", ".join(map(str, found)))
    return there is not observation.absent, same(listed) if found else both("no such route", "その経路はない")


def _fits(observation: RouteSeen, route: FoundRoute) -> bool:
    wanted = {"next_hop": observation.next_hop, "interface": observation.interface, "metric": observation.metric}
    return all(value is None or getattr(route, name) == value for name, value in wanted.items())


def _neighbours(observation: NeighbourSeen, answers: Sequence[Answer], lab: Lab) -> Finding:
    findings = [_neighbour(observation, answer, lab) for answer in answers]
    if len(findings) != len(observation.neighbour):
        raise CannotTell(both("not every node was asked", "すべてのノードに尋ねられなかった"))
    seen = [prefixed(node, finding[1]) for node, finding in zip(observation.neighbour, findings, strict=True)]
    return all(held for held, _ in findings), joined(seen)


def _neighbour(observation: NeighbourSeen, answer: Answer, lab: Lab) -> Finding:
    try:
        if answer.status != 0:
            raise ValueError(answer.complaint)
        found = parse_neighbours(answer.text)
    except (ValueError, RecursionError) as unreadable:
        why = one_line(str(unreadable))
        raise CannotTell(both(f"ip gave no answer: {why}", f"ip の答えがない: {why}")) from unreadable
    there = any(fits(observation, one, lab) for one in found)
    listed = one_line(", ".join(map(str, found)))
    return there is not observation.absent, same(listed) if found else both("no such entry", "そのエントリはない")


def _path(observation: PathSeen, answer: Answer, lab: Lab) -> Finding:
    title = _TITLE.match(answer.text)
    if title is None:
        return _refusal(answer)
    hops, owners = parse_hops(answer.text), nodes_by_address(lab)
    arrived = bool(hops) and hops[-1].address == title[1] and not hops[-1].mark
    names = [owners.get(hop.address, one_line(hop.address)) + hop.mark for hop in (hops[:-1] if arrived else hops)]
    while names and names[-1] == "*":
        names.pop()
    way = " → ".join([*names, one_line(title[1])]) if arrived else " → ".join([*names, "?"])
    ending = same(way) if arrived else both(f"{way} (it did not arrive)", f"{way}（届かなかった）")
    return arrived and names == observation.via, ending

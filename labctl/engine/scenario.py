"""Runs a scenario on a running lab: probes in the nodes throughout, moments at their time, looks during windows.

Owns the clock of it. Probes print the node's own time; each poll reads that clock too, and the quickest poll tells how far it is from
ours. Times are real seconds, never scaled: what is measured are the timers of protocols. Cables and links that the timeline leaves
changed are put back at its end.
"""

import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from labctl.check.ask import Question
from labctl.check.judge import Answer
from labctl.check.probes import Happening, ProbeRecord, Sample, ScenarioRun, window_of
from labctl.check.probing import Line, parse_line, render_prober
from labctl.check.readable import last_line
from labctl.check.undoing import plan_leftovers
from labctl.check.verdict import State, Verdict
from labctl.check.wording import actions_words, both, expected_words, joined
from labctl.engine.events import Event, Reporter, silent
from labctl.engine.evidence import Played, Scene, look
from labctl.engine.parallel import at_once
from labctl.engine.stimulus import Stage, ask_node, start_in_background
from labctl.lab.model import Action, Observation
from labctl.lab.observations import Asked
from labctl.lab.scenarios import PingProbe, Probe, Scenario, probe_words
from labctl.lab.values import seconds_of

POLL_S = 2.0
START_S = 30.0
LATE_S = 2.0  # after the end, for answers that are on their way
SAME_S = 0.2  # a gap told once may move by so much: the estimate of a node's clock gets better
SILENT_S = 1.0  # a probe without an answer for so long is told
POLL = "cat /proc/uptime; tail -c +{place} {file}"


@dataclass
class _Prober:
    """A probe in its node: what was read of its lines, and how far the node's clock is from ours."""

    name: str
    probe: Probe
    file: str = field(default_factory=lambda: f"/run/labctl-probe-{uuid.uuid4().hex[:8]}")
    sent: dict[int, float] = field(default_factory=dict)
    answered: dict[int, float] = field(default_factory=dict)
    place: int = 1
    ahead_s: float = 0.0  # our clock less the node's
    doubt_s: float = float("inf")
    said: str = ""
    silent_s: float = -1.0  # beginning of the last gap that was told, and the end of the last that was told to be over
    told_s: float = -1.0

    @property
    def node(self) -> str:
        return (self.probe.ping if isinstance(self.probe, PingProbe) else self.probe.http).partition(" -> ")[0]

    def take(self, answer: Answer, asked_s: float, answered_s: float) -> None:
        """The lines that came, all but one that is not whole yet."""
        if answer.trouble is not None or answer.status != 0:
            return
        uptime, _, rest = answer.stdout.partition(b"\n")
        whole = rest[: rest.rfind(b"\n") + 1]
        self.place += len(whole)
        if answered_s - asked_s < self.doubt_s:
            self.ahead_s, self.doubt_s = (asked_s + answered_s) / 2 - float(uptime.split()[0]), answered_s - asked_s
        for text in whole.decode(errors="replace").splitlines():
            if (line := parse_line(text)) is None:
                self.said = text
            else:
                self._keep(line)

    def _keep(self, line: Line) -> None:
        if not line.answer:
            self.sent[line.number] = line.at_s
        elif line.number in self.sent:  # a number that was used twice is nobody's
            self.answered.setdefault(line.number, line.at_s)

    def record(self, began_s: float, end_s: float) -> ProbeRecord:
        shift = self.ahead_s - began_s
        answers = {number: at_s + shift for number, at_s in self.answered.items()}
        samples = [Sample(at_s + shift, answers.get(number)) for number, at_s in sorted(self.sent.items())]
        kept = tuple(sample for sample in samples if 0 <= sample.sent_s < end_s)
        return ProbeRecord(self.name, probe_words(self.probe), seconds_of(self.probe.every), kept, end_s)


def play_scenario(stage: Stage, scenario: Scenario, see: Sequence[Observation] = (), report: Reporter = silent) -> Played:
    """Run it once; what its probes saw, and the verdicts of observations that look during a window, by their position in `see`."""
    probers = tuple(_Prober(name, probe) for name, probe in scenario.probes.items())
    background = Stage(stage.target)
    try:
        if not _start(stage, background, probers):
            return Played(ScenarioRun(scenario.name, scenario.says, scenario.end_s, (), ()), {})
        try:
            return _play(stage, scenario, see, probers, report)
        finally:
            stage.carry_out(plan_leftovers(stage.target.lab, scenario.actions), "put back")
            stage.carry_out(scenario.after, "after")
    finally:
        background.stop_background()
        _forget(stage, probers)


def _play(stage: Stage, scenario: Scenario, see: Sequence[Observation], probers: Sequence[_Prober], report: Reporter) -> Played:
    began_s = time.monotonic()
    over = threading.Event()
    poller = threading.Thread(target=_poll_until, args=(stage, probers, over, began_s, report), daemon=True)
    lookers = _Lookers(stage, see, began_s)
    poller.start()
    lookers.start()
    try:
        happenings = tuple(_happen(stage, at_s, actions, began_s, report) for at_s, actions in scenario.moments)
        _sleep_until(began_s + scenario.end_s)
        lookers.join()
    finally:
        over.set()
        poller.join()
    time.sleep(LATE_S)
    _poll(stage, probers)
    for prober in probers:
        _tell(prober, began_s, report)
    records = tuple(prober.record(began_s, scenario.end_s) for prober in probers)
    return Played(ScenarioRun(scenario.name, scenario.says, scenario.end_s, happenings, records), lookers.verdicts())


def _start(stage: Stage, background: Stage, probers: Sequence[_Prober]) -> bool:
    """Start all probes and wait until each has sent; a trouble, and False, if one does not."""
    commands = {prober.name: f"{render_prober(prober.probe)} >{prober.file} 2>&1" for prober in probers}
    started = at_once({prober.name: partial(start_in_background, background, prober.node, commands[prober.name]) for prober in probers})
    bad = [_cannot(stage, prober, _why(answer)) for prober in probers if _why(answer := started[prober.name])]
    deadline = time.monotonic() + START_S * max(1.0, stage.target.time_scale)
    while not bad and (waiting := [prober for prober in probers if not prober.sent]):
        _poll(stage, waiting)
        late = time.monotonic() > deadline
        bad = [_cannot(stage, one, last_line(one.said) or "it sent nothing") for one in waiting if not one.sent and (late or one.said)]
    return not bad


def _why(answer: Answer) -> str:
    """Why a probe was not started; empty if it was."""
    if answer.trouble is not None:
        return answer.trouble.en
    return "" if answer.status == 0 else last_line(answer.stderr) or f"status {answer.status}"


def _cannot(stage: Stage, prober: _Prober, why: str) -> _Prober:
    words = probe_words(prober.probe)
    stage.note(both(f"the probe {words} does not run: {why}", f"プローブ {words} が動かない: {why}"), "", ran=False)
    return prober


def _poll(stage: Stage, probers: Sequence[_Prober]) -> None:
    at_once({prober.name: partial(_poll_one, stage, prober) for prober in probers})


def _poll_one(stage: Stage, prober: _Prober) -> None:
    asked_s = time.monotonic()
    script = POLL.format(place=prober.place, file=prober.file)
    answer = ask_node(stage.target, Question(prober.node, script, START_S * max(1.0, stage.target.time_scale)))
    prober.take(answer, asked_s, time.monotonic())


def _poll_until(stage: Stage, probers: Sequence[_Prober], over: threading.Event, began_s: float, report: Reporter) -> None:
    while not over.wait(POLL_S):
        _poll(stage, probers)
        for prober in probers:
            _tell(prober, began_s, report)


def _tell(prober: _Prober, began_s: float, report: Reporter) -> None:
    """Say when answers stop for a while and when they come again. What was sent a moment ago may still be answered."""
    settled_s = max(prober.sent.values()) + prober.ahead_s - began_s - SILENT_S
    record = prober.record(began_s, settled_s)
    for gap in [gap for gap in record.gaps if gap.seconds >= SILENT_S / 2 and gap.to_s > prober.told_s + SAME_S]:
        if gap.from_s > prober.silent_s + SAME_S:
            prober.silent_s = gap.from_s
            report(Event("note", f"{gap.from_s:5.1f} s  {record.words}: no answer"))
        if gap.to_s < record.to_s:
            prober.told_s = gap.to_s
            report(Event("note", f"{gap.to_s:5.1f} s  {record.words}: answers again, {gap.seconds:.1f} s without"))


def _happen(stage: Stage, at_s: float, actions: Sequence[Action], began_s: float, report: Reporter) -> Happening:
    _sleep_until(began_s + at_s)
    says = actions_words(actions)
    known = len(stage.troubles)
    started_s = time.monotonic() - began_s
    report(Event("note", f"{started_s:5.1f} s  {says.en}"))
    stage.carry_out(actions, f"{at_s:g} s")
    troubles = stage.troubles[known:]
    return Happening(at_s, started_s, time.monotonic() - began_s, says, joined(troubles) if troubles else None)


def _sleep_until(moment_s: float) -> None:
    time.sleep(max(0.0, moment_s - time.monotonic()))


def _forget(stage: Stage, probers: Sequence[_Prober]) -> None:
    """Nothing of a probe stays in a node; one that is off has forgotten it."""
    at_once({prober.name: partial(ask_node, stage.target, Question(prober.node, f"rm -f {prober.file}", START_S)) for prober in probers})


class _Lookers:
    """Observations that are looked at again and again during a window of the scenario, each in a thread of its own."""

    def __init__(self, stage: Stage, see: Sequence[Observation], began_s: float) -> None:
        self._stage = stage
        self._looks: dict[int, tuple[Observation, list[Verdict]]] = {}
        self._threads = []
        for position, one in enumerate(see):
            if isinstance(one, Asked) and one.during is not None:
                from_s, to_s = window_of(one.during)
                self._looks[position] = (one, [])
                arguments = (one, began_s + from_s, began_s + to_s, self._looks[position][1])
                self._threads.append(threading.Thread(target=self._look, args=arguments, daemon=True))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _look(self, one: Observation, from_s: float, to_s: float, verdicts: list[Verdict]) -> None:
        _sleep_until(from_s)
        while time.monotonic() < to_s:
            verdict = look(self._stage.target, one, Scene())
            if time.monotonic() <= to_s:
                verdicts.append(verdict)

    def verdicts(self) -> Mapping[int, Verdict]:
        """The worst of each: one look that fails is enough; without any look nothing is known."""
        return {position: _worst(one, found) for position, (one, found) in self._looks.items()}


def _worst(one: Observation, found: Sequence[Verdict]) -> Verdict:
    if not found:
        nothing = both("no look came to its end within the window", "時間内に観察が終わらなかった")
        return Verdict(State.ERROR, expected_words(one), nothing)
    order = [State.FAILED, State.ERROR, State.PASSED]
    return min(reversed(found), key=lambda verdict: order.index(verdict.state))

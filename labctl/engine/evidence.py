"""Gathers what an observation needs and has it judged: answers of nodes, frames of captures by way of tshark.

Owns asking, reading files and looking again until it holds (`within`). What to ask and what it means are `check/ask.py`'s and
`check/judge.py`'s. tshark reads what guests sent: it runs as the user, reads one file, and its settings are its own.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from labctl.check.ask import ask
from labctl.check.frames import SETTINGS, Sight, parse_frames, read_records, tshark_argv, tshark_complaint, with_bytes
from labctl.check.judge import Answer, Evidence, judge
from labctl.check.probes import ScenarioRun
from labctl.check.readable import one_line
from labctl.check.verdict import ObservationResult, Verdict
from labctl.check.wording import both, says_of
from labctl.engine.parallel import at_once
from labctl.engine.stimulus import Stage, ask_node
from labctl.engine.under_test import LabUnderTest
from labctl.errors import StepError
from labctl.host.run import clean_environment, run
from labctl.lab.model import Action, Observation, OutputSeen, ProbeSeen, RunSeen, Text, WireSeen
from labctl.lab.topology import End
from labctl.lab.values import seconds_of

AGAIN_S = 0.4
DECODE_S = 120.0
SETTLE_S = 0.1  # after `do`, so that what is still on its way is seen


@dataclass(frozen=True)
class Played:
    """What came of a scenario: its run, and the verdicts of observations that looked meanwhile, by their position in `see`."""

    run: ScenarioRun
    looked: Mapping[int, Verdict]


@dataclass(frozen=True)
class Scene:
    """What is left of a stimulus: what its commands printed, by node, the captures, and what came of its scenario.

    `trouble`: the captures did not work.
    """

    printed: Mapping[str, Sequence[Answer]] = field(default_factory=dict)
    files: Mapping[End, Path] = field(default_factory=dict)
    trouble: Text | None = None
    played: Played | None = None
    earlier: Mapping[int, Answer] = field(default_factory=dict)


def play(stage: Stage, do: Sequence[Action], see: Sequence[Observation], scenario: Callable[[], Played] | None = None) -> Scene:
    """Carry out `do`, then the scenario, with captures on every wire that is looked at. One that does not start is the scene's trouble.

    What is compared with its answer before is asked first.
    """
    target = stage.target
    earlier = _asked_before(target, see)
    ends = _ends(target, see)
    if not ends:
        return Scene(stage.carry_out(do, "do"), played=scenario() if scenario else None, earlier=earlier)
    printed, played = None, None
    try:
        with target.capture(ends) as files:
            printed = stage.carry_out(do, "do")
            played = scenario() if scenario else None
            time.sleep(_settle_s(see) * target.time_scale)
    except StepError as refused:
        trouble = both(f"the capture did not work: {one_line(str(refused))}", f"キャプチャーが動かなかった: {one_line(str(refused))}")
        printed = stage.carry_out(do, "do") if printed is None else printed
        return Scene(printed, trouble=trouble, played=scenario() if scenario and played is None else played, earlier=earlier)
    return Scene(printed, files, played=played, earlier=earlier)


def _asked_before(target: LabUnderTest, see: Sequence[Observation]) -> dict[int, Answer]:
    """By position in `see`. One node after the other: it is the moment before the stimulus."""
    compared = {number: one for number, one in enumerate(see) if isinstance(one, RunSeen) and one.compared}
    return {number: _answers(target, one)[0] for number, one in compared.items()}


def observe_all(target: LabUnderTest, see: Sequence[Observation], scene: Scene) -> tuple[ObservationResult, ...]:
    """The verdicts in order. Captures are decoded at once, a tshark each; nodes are asked one observation after the other."""
    looked = scene.played.looked if scene.played else {}
    decoded = at_once({number: partial(observe, target, one, scene, number) for number, one in enumerate(see) if isinstance(one, WireSeen)})
    decoded |= {number: ObservationResult(says_of(see[number]), see[number].witness, verdict) for number, verdict in looked.items()}
    return tuple(decoded[number] if number in decoded else observe(target, one, scene, number) for number, one in enumerate(see))


def observe(target: LabUnderTest, observation: Observation, scene: Scene, number: int = 0) -> ObservationResult:
    """The verdict on one observation, `number` in its check; with `within`, of the first look that holds, or the last one."""
    deadline = time.monotonic() + (seconds_of(observation.within) * target.time_scale if observation.within else 0.0)
    verdict = look(target, observation, scene, number)
    final = isinstance(observation, WireSeen | OutputSeen | ProbeSeen)  # these do not change any more
    while not verdict.passed and not final and time.monotonic() < deadline:
        time.sleep(AGAIN_S)
        verdict = look(target, observation, scene, number)
    return ObservationResult(says_of(observation), observation.witness, verdict)


def look(target: LabUnderTest, observation: Observation, scene: Scene, number: int = 0) -> Verdict:
    """One look."""
    match observation:
        case WireSeen():
            evidence = _wires(target, observation, scene)
        case ProbeSeen():
            evidence = Evidence(run=scene.played.run if scene.played else None)
        case OutputSeen():
            evidence = Evidence(answers=_printed(scene.printed.get(observation.output, ())))
        case _:
            evidence = Evidence(answers=_answers(target, observation), earlier=scene.earlier.get(number))
    return judge(observation, evidence, target.lab)


def _answers(target: LabUnderTest, observation: Observation) -> tuple[Answer, ...]:
    asked = ask(observation, target.time_scale)
    answers = at_once({number: partial(ask_node, target, one) for number, one in enumerate(asked)})
    return tuple(answers.values())


def _printed(answers: Sequence[Answer]) -> tuple[Answer, ...]:
    """All that commands on one node printed, as one answer; none if there was no command."""
    if not answers:
        return ()
    missing = next((answer.trouble for answer in answers if answer.trouble is not None and not answer.late), None)
    return (Answer(0, b"".join(answer.stdout for answer in answers), b"".join(answer.stderr for answer in answers), missing),)


# --- wires -------------------------------------------------------------------------------------------------------------------


def _ends(target: LabUnderTest, see: Sequence[Observation]) -> tuple[End, ...]:
    names = [name for one in see if isinstance(one, WireSeen) for name in (one.wire, one.same_bytes_as) if name]
    return tuple(target.lab.end(name) for name in dict.fromkeys(names))


def _settle_s(see: Sequence[Observation]) -> float:
    """A capture is closed once; `within` of a wire keeps it open for so long after `do`."""
    return max([SETTLE_S, *(seconds_of(one.within) for one in see if isinstance(one, WireSeen) and one.within)])


def _wires(target: LabUnderTest, observation: WireSeen, scene: Scene) -> Evidence:
    ends = [name for name in (observation.wire, observation.same_bytes_as) if name]
    fields = tuple(observation.values or {})

    def sight(name: str) -> Sight:
        file = scene.files.get(target.lab.end(name))
        if scene.trouble is not None or file is None:
            return Sight(trouble=scene.trouble or both(f"no capture at {name}", f"{name} のキャプチャーがない"))
        return decode(file, observation.filter.strip(), fields)

    sights = at_once({name: partial(sight, name) for name in ends})
    return Evidence(sight=sights[observation.wire], other=sights.get(observation.same_bytes_as or ""))


def decode(pcap: Path, display_filter: str, fields: Sequence[str]) -> Sight:
    """The frames of a capture that match; trouble if it cannot be read or tshark refuses the filter or a field."""
    try:
        records = read_records(pcap.read_bytes())
        argv = tshark_argv(pcap, display_filter, fields)
        result = run(argv, env=clean_environment(SETTINGS), timeout_s=DECODE_S, check=False)
        if result.status != 0:
            return Sight(trouble=_refused(tshark_complaint(result.stderr.decode(errors="replace"))))
        return Sight(with_bytes(parse_frames(result.text), records), len(records))
    except (OSError, ValueError, StepError) as unreadable:
        why = one_line(str(unreadable))
        return Sight(trouble=both(f"the capture cannot be read: {why}", f"キャプチャーを読めない: {why}"))


def _refused(complaint: str) -> Text:
    why = one_line(complaint or "no reason given", 300)
    return both(f"tshark refuses: {why}", f"tshark が受け付けない: {why}")

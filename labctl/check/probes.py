"""What probes saw while a scenario ran: answers, losses, gaps; and what it says about an observation. Pure data and counting.

Owns the meaning of a gap: from the first probe that was not answered as usual until the first answer after it, less the usual time of an
answer, or to the end. So a fault of T seconds shows as T, give or take the interval.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace

from labctl.check.wording import both
from labctl.lab.model import ProbeSeen, Text
from labctl.lab.values import seconds_of

LEAST = 0.9  # of an interval: one probe that was lost is a gap of one interval
LATE_S = 0.5


@dataclass(frozen=True)
class Sample:
    """A probe: when it was sent, in seconds since the scenario began, and when its answer came."""

    sent_s: float
    answered_s: float | None = None

    @property
    def round_trip_ms(self) -> float | None:
        return None if self.answered_s is None else (self.answered_s - self.sent_s) * 1000


@dataclass(frozen=True)
class Gap:
    from_s: float
    to_s: float

    @property
    def seconds(self) -> float:
        return self.to_s - self.from_s


@dataclass(frozen=True)
class ProbeRecord:
    """All samples of one probe within `from_s`…`to_s`, in the order of sending."""

    name: str
    words: str
    every_s: float
    samples: tuple[Sample, ...]
    to_s: float
    from_s: float = 0.0

    @property
    def answered(self) -> int:
        return sum(sample.answered_s is not None for sample in self.samples)

    @property
    def loss_percent(self) -> float:
        return 100 * (1 - self.answered / len(self.samples)) if self.samples else 0.0

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Times without an answer. What waits in a queue while a cable is pulled is answered when it is back: late, and all at once."""
        usual_s = min((one.answered_s - one.sent_s for one in self.samples if one.answered_s is not None), default=0.0)
        sent = [one.sent_s for one in self.samples]
        heard = sorted((one.answered_s - usual_s, one.sent_s) for one in self.samples if one.answered_s is not None)
        found: list[Gap] = []
        known_s = float("-inf")  # all that was sent by then is answered, or told to be not
        for back_s, sent_s in (*heard, (self.to_s, float("inf"))):
            back_s, place = min(back_s, self.to_s), bisect_right(sent, known_s)
            if place < len(sent) and back_s - sent[place] >= self._least_s(place, bisect_left(sent, back_s)):
                found.append(Gap(sent[place], back_s))
            known_s = max(known_s, sent_s, back_s)
        return tuple(found)

    def _least_s(self, first: int, end: int) -> float:
        """How long it must last: an interval where a probe was lost; where all came, so long that no busy machine explains it."""
        lost = any(one.answered_s is None for one in self.samples[first:end])
        return LEAST * self.every_s if lost else max(LEAST * self.every_s, LATE_S)

    @property
    def longest_gap_s(self) -> float:
        return max((gap.seconds for gap in self.gaps), default=0.0)

    def within(self, from_s: float, to_s: float) -> "ProbeRecord":
        """Only what was sent in a window."""
        kept = tuple(sample for sample in self.samples if from_s <= sample.sent_s < to_s)
        return replace(self, samples=kept, from_s=from_s, to_s=to_s)


@dataclass(frozen=True)
class Happening:
    """A moment of the timeline: when it should be, when it began and was done, what went wrong."""

    at_s: float
    began_s: float
    done_s: float
    says: Text
    trouble: Text | None = None


@dataclass(frozen=True)
class ScenarioRun:
    """What came of a scenario, once."""

    name: str
    says: Text
    end_s: float
    happenings: tuple[Happening, ...]
    probes: tuple[ProbeRecord, ...]

    @property
    def troubles(self) -> tuple[Text, ...]:
        return tuple(one.trouble for one in self.happenings if one.trouble is not None)


def window_of(text: str) -> tuple[float, float]:
    """`10s..18s` → seconds."""
    first, _, last = text.partition("..")
    return seconds_of(first), seconds_of(last)


def look_at_probe(observation: ProbeSeen, run: ScenarioRun) -> tuple[bool, Text] | None:
    """Whether the figure is within its bounds, and what it is; None if nothing was sent."""
    record = next((one for one in run.probes if observation.of in (None, one.name)), None)
    if record is not None and observation.during is not None:
        record = record.within(*window_of(observation.during))
    if record is None or not record.samples:
        return None
    figure = figure_of(observation, record)
    low, high = (None if text is None else figure_in(text) for text in (observation.at_least, observation.at_most))
    held = (low is None or figure >= low) and (high is None or figure <= high)
    return held, _seen(observation, figure, record)


def figure_of(observation: ProbeSeen, record: ProbeRecord) -> float:
    return {"longest_gap": record.longest_gap_s, "loss": record.loss_percent, "answers": float(record.answered)}[observation.probe]


def figure_in(text: str) -> float:
    """`2s` → 2 seconds, `5%` → 5, `3` → 3."""
    return seconds_of(text) if text.endswith("s") or text.endswith("m") else float(text.rstrip("%"))


def _seen(observation: ProbeSeen, figure: float, record: ProbeRecord) -> Text:
    counts = f"{record.answered}/{len(record.samples)}"
    match observation.probe:
        case "longest_gap":
            worst = max(record.gaps, key=lambda gap: gap.seconds, default=None)
            place = f" ({worst.from_s:.1f} s … {worst.to_s:.1f} s)" if worst else ""
            return both(f"{figure:.1f} s without an answer{place}, {counts} answered", f"無応答 {figure:.1f} 秒{place}、応答 {counts}")
        case "loss":
            return both(f"{figure:.1f} % lost, {counts} answered", f"損失 {figure:.1f} %、応答 {counts}")
        case _:
            return both(f"{counts} answered", f"応答 {counts}")

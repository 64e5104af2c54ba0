"""What a self-test found: which sabotage made which observation fail, and what is not proven. Data and counting; pure.

Owns the rules: only *failed* kills, never an error; witnesses must hold meanwhile; a stimulus that was not carried out proves nothing;
every sabotage must kill and every observation that is no witness must be killed; a sabotage that turns every check red needs a reason.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from labctl.check.verdict import CheckResult, State, VerifyReport
from labctl.check.wording import both, joined, prefixed
from labctl.lab.model import Check, Text
from labctl.lab.observation_rules import is_absence


@dataclass(frozen=True)
class Trial:
    """One sabotage of a check, tried. `number` counts from 1; `result` is how the check came out under it.

    `all_red`: every other check was red too. `again`: the check after the lab was put back. `trouble`: why the trial is worth nothing.
    """

    number: int
    says: Text
    result: CheckResult | None
    again: CheckResult | None
    put_back_by: Text
    all_red: bool = False
    reason: str = ""
    trouble: Text | None = None
    seconds: float = 0.0

    @property
    def witnesses_lost(self) -> tuple[int, ...]:
        """Positions of witnesses that did not hold."""
        seen = self.result.observations if self.result else ()
        return tuple(position for position, one in enumerate(seen) if one.witness and one.state is not State.PASSED)

    @property
    def kills(self) -> tuple[int, ...]:
        """Positions of the observations that this sabotage proves able to fail."""
        if self.result is None or not self.result.do_ran or self.witnesses_lost:
            return ()
        return tuple(position for position in self.result.positions(State.FAILED) if not self.result.observations[position].witness)

    @property
    def problems(self) -> tuple[Text, ...]:
        return tuple(prefixed(f"sabotage {self.number}", problem) for problem in self._problems())

    def _problems(self) -> Iterator[Text]:
        if self.trouble is not None:
            yield self.trouble
        if self.result is not None:
            yield from self._why_no_kill(self.result)
        if self.all_red and not self.reason:
            yield both(
                "every check of the lab is red under it: find a narrower one, or give `kills_all` a reason",
                "すべてのチェックが赤になる: もっと狭い破壊を選ぶか、`kills_all` に理由を書く",
            )
        if self.again is not None and not self.again.passed:
            seen = _first_red(self.again)
            yield both(f"put back, the check does not pass again ({seen.en})", f"元に戻してもチェックが通らない（{seen.ja}）")

    def _why_no_kill(self, result: CheckResult) -> Iterator[Text]:
        if not result.do_ran and result.do_error is not None:
            error = result.do_error
            yield both(f"the stimulus was not carried out ({error.en})", f"刺激を実行できなかった（{error.in_language('ja')}）")
        for position in self.witnesses_lost:
            says = result.observations[position].says
            yield both(f"the witness no longer holds ({says.en})", f"証人が成り立たない（{says.in_language('ja')}）")
        if not self.kills and not self.witnesses_lost and result.do_ran:
            yield both("no observation fails under it", "どの観察も失敗しない")
            errors = joined(one.verdict.seen for one in result.observations if one.state is State.ERROR)
            if errors.en:
                yield both(f"an error proves nothing ({errors.en})", f"エラーは何も証明しない（{errors.in_language('ja')}）")


@dataclass(frozen=True)
class CheckProof:
    """A check with its trials. `opened`: a task before its solution. `baseline`: as it should be; None if it was not come to."""

    check: Check
    baseline: CheckResult | None
    trials: tuple[Trial, ...] = ()
    opened: CheckResult | None = None
    trouble: Text | None = None

    @property
    def provable(self) -> tuple[int, ...]:
        """Positions of the observations that some sabotage must kill."""
        return tuple(position for position, one in enumerate(self.check.see) if not one.witness)

    @property
    def killed(self) -> frozenset[int]:
        return frozenset(position for trial in self.trials for position in trial.kills)

    @property
    def effective(self) -> int:
        """How many sabotages killed something."""
        return sum(bool(trial.kills) for trial in self.trials)

    @property
    def problems(self) -> tuple[Text, ...]:
        return (*self._problems(), *(problem for trial in self.trials for problem in trial.problems))

    def _problems(self) -> Iterator[Text]:
        if lacks_witness(self.check):
            yield both("an absence without a witness is true of a dead lab too", "証人のない「ない」の観察は、死んだラボでも成り立つ")
        if self.opened is not None and not self.opened.positions(State.FAILED):
            yield both("the task is not red before its solution", "課題なのに、解く前から赤でない")
        if self.trouble is not None:
            yield self.trouble
        if self.baseline is not None and not self.baseline.passed:
            when, when_ja = ("with its solution", "解いた後の") if self.check.task else ("on the lab as it should be", "正しい状態の")
            seen = _first_red(self.baseline)
            yield both(f"it does not pass {when} ({seen.en})", f"{when_ja}ラボで通らない（{seen.ja}）")
            return
        for position in self.provable:
            if position not in self.killed and self.baseline is not None:
                says = self.baseline.observations[position].says
                yield both(f"no sabotage makes this fail: {says.en}", f"どの破壊でも失敗しない観察: {says.in_language('ja')}")


@dataclass(frozen=True)
class SelftestReport:
    """The proof of a lab's checks, in one variant. `partly`: all checks after nothing but what was touched was put back; `wholly`:
    after the full reset."""

    lab: str
    title: Text
    variant: str
    accelerator: str
    proofs: tuple[CheckProof, ...]
    partly: VerifyReport
    wholly: VerifyReport
    seconds: float

    @property
    def killed(self) -> int:
        return sum(len(proof.killed) for proof in self.proofs)

    @property
    def provable(self) -> int:
        return sum(len(proof.provable) for proof in self.proofs)

    @property
    def effective(self) -> int:
        return sum(proof.effective for proof in self.proofs)

    @property
    def sabotages(self) -> int:
        return sum(len(proof.check.sabotage) for proof in self.proofs)

    @property
    def score(self) -> float:
        """Observations killed and sabotages that kill, of all there are: 1.0 is wanted. A lab without checks has proven nothing: 0."""
        every = self.provable + self.sabotages
        return (self.killed + self.effective) / every if every else 0.0

    @property
    def problems(self) -> tuple[Text, ...]:
        """Everything that stands between the lab and its proof, each with the check's id."""
        found = [prefixed(proof.check.id, problem) for proof in self.proofs for problem in proof.problems]
        found += _not_as_before(self.partly, "once what was touched is put back", "触れた部分を戻した後")
        return (*found, *_not_as_before(self.wholly, "after a full reset", "全体をリセットした後"))

    @property
    def proven(self) -> bool:
        return self.score == 1.0 and not self.problems

    @property
    def exit_code(self) -> int:
        return 0 if self.proven else 1


def lacks_witness(check: Check) -> bool:
    """Whether it has an absence, and no witness beside it that is something present."""
    absent = [is_absence(observation) for observation in check.see]
    return any(absent) and not any(one.witness and not gone for one, gone in zip(check.see, absent, strict=True))


def _not_as_before(report: VerifyReport, when: str, when_ja: str) -> list[Text]:
    """Checks that do not pass, and tasks that are not open."""
    wrong = []
    for one in report.checks:
        if one.task and not one.open_task:
            wrong.append(prefixed(one.id, both(f"the task is not open {when}", f"{when_ja}、課題が未解決の状態でない")))
        elif not one.task and not one.passed:
            seen = _first_red(one)
            wrong.append(prefixed(one.id, both(f"does not pass {when} ({seen.en})", f"{when_ja}に通らない（{seen.ja}）")))
    return wrong


def _first_red(result: CheckResult) -> Text:
    """Why a check is not green, in one clause."""
    if result.do_error is not None:
        return both(result.do_error.en, result.do_error.in_language("ja"))
    red = next(one for one in result.observations if not one.verdict.passed)
    return both(f"{red.says.en}: {red.verdict.seen.en}", f"{red.says.in_language('ja')}: {red.verdict.seen.in_language('ja')}")

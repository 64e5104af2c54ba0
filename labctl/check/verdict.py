"""What came out: of one observation, of one check, of a whole `verify`. Data only.

Three verdicts. *failed*: it was looked at, and it is not so. *error*: it could not be looked at, or the stimulus did not work; that
says nothing about the lab and never counts as failed. Deciding which one it is, is `check/judge.py`'s; running is the engine's.
"""

from dataclasses import dataclass
from enum import StrEnum

from labctl.lab.model import Text


class State(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"


@dataclass(frozen=True)
class Verdict:
    """`expected` and `seen` are for people, in both languages; what guests printed is made harmless in them already."""

    state: State
    expected: Text
    seen: Text

    @property
    def passed(self) -> bool:
        return self.state is State.PASSED


@dataclass(frozen=True)
class ObservationResult:
    """An observation of a check with its verdict. `says` is the author's sentence, or else what was expected."""

    says: Text
    witness: bool
    verdict: Verdict

    @property
    def state(self) -> State:
        return self.verdict.state


@dataclass(frozen=True)
class CheckResult:
    """One check, run once. `do_error` says what went wrong around the observations (stimulus, before, after), or is None.

    `do_ran` is false if an action was not carried out at all (agent, hypervisor): what was seen then proves nothing.
    """

    id: str
    says: Text
    observations: tuple[ObservationResult, ...]
    do_error: Text | None
    seconds: float
    do_ran: bool = True
    task: bool = False
    hint: Text | None = None
    proves: tuple[str, ...] = ()

    @property
    def state(self) -> State:
        states = {one.state for one in self.observations}
        if self.do_error is not None or State.ERROR in states:
            return State.ERROR
        return State.FAILED if State.FAILED in states else State.PASSED

    @property
    def passed(self) -> bool:
        return self.state is State.PASSED

    @property
    def open_task(self) -> bool:
        """An exercise that nobody has solved yet: red, but the lab is not broken and everything could be looked at."""
        looked = self.do_ran and all(one.state is not State.ERROR for one in self.observations)
        return self.task and looked and not self.passed

    @property
    def in_words(self) -> str:
        """passed, failed, error or open: an unsolved task is no failure."""
        return "open" if self.open_task else self.state.value

    def positions(self, state: State) -> tuple[int, ...]:
        return tuple(position for position, one in enumerate(self.observations) if one.state is state)


@dataclass(frozen=True)
class VerifyReport:
    """All checks that were run on one lab in one variant."""

    lab: str
    title: Text
    variant: str
    accelerator: str
    checks: tuple[CheckResult, ...]
    seconds: float

    @property
    def state(self) -> State:
        """The worst of the checks; open tasks count as nothing. A lab without checks has passed."""
        states = {one.state for one in self.checks if not one.open_task}
        return next((state for state in (State.ERROR, State.FAILED) if state in states), State.PASSED)

    @property
    def exit_code(self) -> int:
        """0 all passed, 1 a check failed, 5 something could not be looked at."""
        return {State.PASSED: 0, State.FAILED: 1, State.ERROR: 5}[self.state]

    def count(self, word: str) -> int:
        return sum(one.in_words == word for one in self.checks)

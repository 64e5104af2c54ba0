"""`comparison.yaml` beside a lab file: the same work in several kinds of place, measured. What `labctl compare` goes by.

Owns the model of that file and its reading. In the node a command has the kind's name in $KIND; the lab's program `vehicle` starts and
ends a kind and carries out commands inside it (labs/virtualisation/files/vehicle).
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from labctl.errors import UsageError
from labctl.lab.faults import Faults, load_error
from labctl.lab.load import read_file
from labctl.lab.read_model import read_model
from labctl.lab.values import Command, Duration, Flag, Name, Number, Strict, Words

COMPARISON_FILE = "comparison.yaml"


def _one_group(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from None
    if groups != 1:
        raise ValueError("one group in parentheses is the figure")
    return pattern


Pattern = Annotated[str, AfterValidator(_one_group)]


class Kind(Strict):
    """A kind of place in which the same work is done."""

    id: Name = Field(description="its name in commands and data")
    title: Words = Field(description="heading of its column")
    says: Words = Field(description="what it is, in one sentence")
    node: Name = Field(description="the lab's node on which it runs")
    yardstick: Flag = Field(default=False, description="the others on its node are compared with this one")
    needs: Command | None = Field(default=None, description="command that must succeed on the node; else the column says what it printed")
    lacks: Words | None = Field(default=None, description="what the column says then instead of that")
    rounds: Number | None = Field(default=None, ge=1, le=100, description="how often at most: for what takes long")
    quick: Flag = Field(default=True, description="whether the short run has it too")


class Measure(Strict):
    """A figure: what a command prints, on the node or inside."""

    id: Name
    title: Words
    unit: str = Field(default="", description="as in s, MiB, events/s")
    better: Literal["less", "more"] = Field(description="which way is good")
    tool: str = Field(description="the program that measures")
    node: Command | None = Field(default=None, description="command on the node; its output is the figure")
    inside: Command | None = Field(default=None, description="command inside the kind")
    pattern: Pattern = Field(default=r"(-?[0-9]+(?:[.][0-9]+)?)\s*$", description="regular expression whose group is the figure")
    not_for: tuple[Name, ...] = Field(default=(), description="kinds for which it says nothing")
    quick: Flag = Field(default=False, description="a measure of the short run")
    once: Flag = Field(default=False, description="measured in one round only, the second: for what takes long and does not vary")
    within: Duration = Field(default="60s", description="deadline under KVM; longer under emulation")


class Question(Strict):
    """Something that is no number: what a command prints is the answer."""

    id: Name
    title: Words
    node: Command | None = None
    inside: Command | None = None
    not_for: tuple[Name, ...] = ()


class Published(Strict):
    """A ratio to native from the literature, to lie beside ours."""

    measure: Name
    kind: Name
    ratio: Annotated[float, Field(gt=0)]
    says: Words


class Comparison(Strict):
    """The whole file."""

    rounds: Number = Field(default=5, ge=1, le=100, description="runs of each kind in the full run")
    start: Name = Field(description="the measure that starts a kind; it comes first in every round")
    kinds: tuple[Kind, ...] = Field(min_length=1)
    measures: tuple[Measure, ...] = Field(min_length=1)
    questions: tuple[Question, ...] = ()
    source: Words = Field(description="where the published ratios are from")
    published: tuple[Published, ...] = ()
    remarks: tuple[Words, ...] = Field(default=(), description="what a reader must know before concluding anything")

    def yardstick_of(self, kind: Kind) -> Kind | None:
        return next((one for one in self.kinds if one.yardstick and one.node == kind.node), None)


def load_comparison(lab_file: Path) -> Comparison:
    """The comparison beside this lab file: UsageError if there is none, LoadError with every fault."""
    file = lab_file.parent / COMPARISON_FILE
    if not file.is_file():
        raise UsageError(
            f"lab {lab_file.parent.name} has nothing to compare", why=f"no {COMPARISON_FILE} beside its lab file", hint="labctl compare"
        )
    faults = read_file(file)
    model = read_model(Comparison, faults, {})
    if model is not None:
        _check(model, faults)
    faults.raise_any()
    if model is None:
        raise load_error(faults.file, faults.all)
    return model


def _check(model: Comparison, faults: Faults) -> None:
    """What the parts mean together."""
    kinds, measures = {one.id for one in model.kinds}, {one.id for one in model.measures}
    if model.start not in measures:
        faults.add(("start",), f"no measure `{model.start}`")
    asked: tuple[tuple[str, Sequence[Measure | Question]], ...] = (("measures", model.measures), ("questions", model.questions))
    for key, entries in asked:
        for number, entry in enumerate(entries):
            if (entry.node is None) == (entry.inside is None):
                faults.add((key, number), f"`{entry.id}` needs one of `node` and `inside`")
            for name in set(entry.not_for) - kinds:
                faults.add((key, number, "not_for"), f"no kind `{name}`")
    for number, one in enumerate(model.published):
        if one.measure not in measures or one.kind not in kinds:
            faults.add(("published", number), f"no measure `{one.measure}` of a kind `{one.kind}`")

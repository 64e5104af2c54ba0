"""An earlier run of `compare`, read back from its JSON, so that another run can go on from it. Pure.

Owns what of that JSON counts, and when two runs may be put together: the same measures, on the same machine with the same software.
"""

from pydantic import BaseModel, Field, ValidationError

from labctl.check.comparing import Figures, Surroundings
from labctl.errors import UsageError
from labctl.lab.comparison import Comparison


class _Named(BaseModel):
    id: str


class _Cell(BaseModel):
    kind: str
    samples: list[float] = Field(max_length=10_000)
    missing: str | None


class _Measured(_Named):
    cells: list[_Cell]


class _Answered(_Named):
    answers: dict[str, str | None]


class _Run(BaseModel):
    machine: str
    accelerator: str
    nesting: str
    versions: dict[str, str]
    date: str
    quick: bool
    seconds: float = Field(ge=0)
    kinds: list[_Named]
    measures: list[_Measured]
    questions: list[_Answered]


def figures_of(text: str, name: str, comparison: Comparison) -> Figures:
    """The figures in `text`, what `compare --json` printed. `UsageError`, which calls it `name`, if they are none of this comparison."""
    try:
        run = _Run.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        why = f"{where}: {first['msg']}" if where else first["msg"]
        raise UsageError(f"{name} is no run of compare", why=why, hint="labctl compare --json > run.json writes one") from None
    _require_known([one.id for one in run.measures], [one.id for one in comparison.measures], "measure", name)
    _require_known([one.id for one in run.questions], [one.id for one in comparison.questions], "question", name)
    kinds = [one.id for one in run.kinds] + [cell.kind for one in run.measures for cell in one.cells]
    _require_known(kinds + [kind for one in run.questions for kind in one.answers], [one.id for one in comparison.kinds], "kind", name)
    cells = [(one.id, cell) for one in run.measures for cell in one.cells]
    return Figures(
        comparison,
        Surroundings(run.machine, run.accelerator, run.nesting, run.versions, run.date),
        samples={(measure, cell.kind): cell.samples for measure, cell in cells if cell.samples},
        missing={(measure, cell.kind): cell.missing for measure, cell in cells if cell.missing and not cell.samples},
        answers={(one.id, kind): answer for one in run.questions for kind, answer in one.answers.items() if answer is not None},
        measures=tuple(one for one in comparison.measures if one.id in {measured.id for measured in run.measures}),
        kinds=tuple(one for one in comparison.kinds if one.id in {named.id for named in run.kinds}),
        quick=run.quick,
        seconds=run.seconds,
    )


def _require_known(found: list[str], known: list[str], what: str, name: str) -> None:
    if strange := [one for one in found if one not in known]:
        raise UsageError(f"{name} is of another comparison", why=f"the lab's comparison.yaml has no {what} `{strange[0][:80]}`")


def require_same(earlier: Surroundings, now: Surroundings) -> None:
    """`UsageError` unless both runs were made on one machine with the same software: else their figures are no samples of one thing."""
    facts = {"machine": (earlier.machine, now.machine), "accelerator": (earlier.accelerator, now.accelerator)}
    facts |= {name: (earlier.versions.get(name, "none"), now.versions.get(name, "none")) for name in {*earlier.versions, *now.versions}}
    for name, (before, after) in sorted(facts.items()):
        if before != after:
            hint = "measure all of it again: leave --continue out"
            raise UsageError("the earlier run cannot be gone on with", why=f"{name} was {before}, and is {after}"[:300], hint=hint)

"""What the source text says, sentence by sentence, and what became of each sentence (`docs/claims.yaml`).

Owns the claims' model, the rules that bind claims and checks together, and the page `docs/coverage.md` as text. All of it is pure:
`engine/coverage.py` reads the files, loads the labs and writes the page.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from labctl.errors import Fault, LoadError
from labctl.lab.tree import Tree
from labctl.lab.values import Claim as ClaimId
from labctl.lab.values import Name
from labctl.lab.yaml12 import parse_yaml


class Status(StrEnum):
    """What became of a claim (topics.md, "Claims")."""

    PROVEN = "proven"
    IMPRECISE = "imprecise"
    BEYOND = "beyond"
    NOT_REPRODUCIBLE = "not-reproducible"
    PICTURE_NOT_SEEN = "picture-not-seen"
    PLANNED = "planned"

    @property
    def needs_a_check(self) -> bool:
        return self in (Status.PROVEN, Status.BEYOND)

    @property
    def may_have_checks(self) -> bool:
        return self not in (Status.PICTURE_NOT_SEEN, Status.PLANNED)

    @property
    def needs_a_note(self) -> bool:
        return self in (Status.IMPRECISE, Status.NOT_REPRODUCIBLE)

    @property
    def words(self) -> str:
        return self.value.replace("-", " ")


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ClaimEntry(_Entry):
    """One sentence of the source, or one of ours where the status is `beyond`."""

    id: ClaimId
    text: Annotated[str, Field(min_length=1)]
    status: Status
    lab: Name | None = None
    note: str = ""


class Section(_Entry):
    """A section of the source, by its anchor."""

    section: Annotated[str, Field(pattern=r"^ID_[0-9]+(-[0-9]+)*$")]
    title: str
    claims: tuple[ClaimEntry, ...]


class ClaimsFile(_Entry):
    """`docs/claims.yaml`."""

    sections: tuple[Section, ...]

    @property
    def claims(self) -> tuple[ClaimEntry, ...]:
        return tuple(claim for section in self.sections for claim in section.claims)


@dataclass(frozen=True)
class ProvingCheck:
    """A check of a lab and the claims that it names."""

    lab: str
    check: str
    claims: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.lab}/{self.check}"


def parse_claims(content: bytes, file: str) -> ClaimsFile:
    """The claims of `content`; LoadError with every fault of the file."""
    tree, faults = parse_yaml(content, file)
    if tree is None or faults:
        raise LoadError(f"cannot read {file}", why=_first(faults), faults=tuple(faults))
    try:
        return ClaimsFile.model_validate(tree.data())
    except ValidationError as error:
        faults = [_fault(file, tree, found["loc"], found["msg"]) for found in error.errors()]
        raise LoadError(f"{file} is wrong", why=_first(faults), faults=tuple(faults)) from error


def judge_claims(file: ClaimsFile, checks: Iterable[ProvingCheck], labs: Iterable[str]) -> tuple[str, ...]:
    """What does not fit between the claims, the checks that name them and the labs that exist; nothing, if all is well."""
    checks = tuple(checks)
    return (*_unknown(file, checks), *_twice(file), *(fault for claim in file.claims for fault in _judge(claim, checks, set(labs))))


def render_coverage(file: ClaimsFile, checks: Sequence[ProvingCheck]) -> str:
    """The page `docs/coverage.md`."""
    parts = [_HEAD, _summary(file), *(_section(section, checks) for section in file.sections)]
    return "\n".join(parts)


def _first(faults: Sequence[Fault]) -> str:
    return f"{faults[0].place}: {faults[0].what}" if faults else ""


def _fault(file: str, tree: Tree, path: tuple[str | int, ...], message: str) -> Fault:
    spot = tree.value_spot(path)
    return Fault(file, spot.line, spot.column, f"{'.'.join(str(step) for step in path)}: {message}")


def _unknown(file: ClaimsFile, checks: Sequence[ProvingCheck]) -> list[str]:
    known = {claim.id for claim in file.claims}
    return [f"{check} proves {name}, which is no claim" for check in checks for name in check.claims if name not in known]


def _twice(file: ClaimsFile) -> list[str]:
    ids = [claim.id for claim in file.claims]
    return [f"{name} stands there more than once" for name in sorted({name for name in ids if ids.count(name) > 1})]


def _judge(claim: ClaimEntry, checks: Sequence[ProvingCheck], labs: set[str]) -> Iterable[str]:
    proving = _proving(claim, checks)
    if claim.status.needs_a_check and not proving:
        yield f"{claim.id} is {claim.status.words}, but no check names it"
    if proving and not claim.status.may_have_checks:
        yield f"{claim.id} is {claim.status.words}, but {proving[0]} names it"
    if claim.status.needs_a_note and not claim.note:
        yield f"{claim.id} is {claim.status.words}, and no note says what is right or what stands in"
    if (claim.status is Status.PLANNED) != (claim.lab is not None):
        yield f"{claim.id}: `lab` belongs to planned claims, and to each of them"
    if claim.lab in labs:
        yield f"{claim.id} is planned for {claim.lab}, which exists"


def _proving(claim: ClaimEntry, checks: Sequence[ProvingCheck]) -> list[ProvingCheck]:
    return [check for check in checks if claim.id in check.claims]


_HEAD = """# What the labs prove

Made by `python -m labctl.engine.coverage` from `docs/claims.yaml` and the labs; do not edit.

The source's sentences stand here in its own words. *Proven* means: the checks named beside it show it on running machines, and each of
their observations fails under at least one sabotage. *Imprecise*: the words need care, the note says what is right. *Beyond*: not in the
source. *Not reproducible*: the note says why, and what stands in. *Picture not seen*: a figure that is a link. *Planned*: for a lab that
does not exist yet.
"""


def _summary(file: ClaimsFile) -> str:
    counts = {status: sum(claim.status is status for claim in file.claims) for status in Status}
    head = "| section | " + " | ".join(status.words for status in Status) + " |"
    rows = [_summary_row(section) for section in file.sections]
    total = "| all | " + " | ".join(str(counts[status]) for status in Status) + " |"
    return "\n".join([head, "|---|" + "---:|" * len(Status), *rows, total, ""])


def _summary_row(section: Section) -> str:
    counts = (sum(claim.status is status for claim in section.claims) for status in Status)
    return f"| {section.section} {section.title} | " + " | ".join(str(count) for count in counts) + " |"


def _section(section: Section, checks: Sequence[ProvingCheck]) -> str:
    head = [f"## {section.section} {section.title}", "", "| claim | what is said | status | checks | note |", "|---|---|---|---|---|"]
    return "\n".join([*head, *(_row(claim, checks) for claim in section.claims), ""])


def _row(claim: ClaimEntry, checks: Sequence[ProvingCheck]) -> str:
    status = f"{claim.status.words}: {claim.lab}" if claim.lab else claim.status.words
    cells = (claim.id, claim.text, status, "<br>".join(str(check) for check in _proving(claim, checks)), claim.note)
    return "| " + " | ".join(cell.strip().replace("|", "\\|") for cell in cells) + " |"

"""Writes `docs/coverage.md`: which sentence of the source is proven by which check. `python -m labctl.engine.coverage` does it.

Reads `docs/claims.yaml` of the checkout and loads every shipped lab; what fits together and what the page says is
`check/claims.py`'s. A test fails when the page is not what this would write.
"""

from pathlib import Path

from labctl.check.claims import ClaimsFile, ProvingCheck, judge_claims, parse_claims, render_coverage
from labctl.lab.data import data_directory
from labctl.lab.load import load_lab, shipped_labs
from labctl.lab.topology import Lab

DOCS = data_directory() / "docs"
CLAIMS = DOCS / "claims.yaml"
COVERAGE = DOCS / "coverage.md"


def load_claims(file: Path = CLAIMS) -> ClaimsFile:
    return parse_claims(file.read_bytes(), f"docs/{file.name}")


def load_shipped_labs() -> tuple[Lab, ...]:
    return tuple(load_lab(file) for file in shipped_labs())


def proving_checks(labs: tuple[Lab, ...]) -> tuple[ProvingCheck, ...]:
    return tuple(ProvingCheck(lab.name, check.id, tuple(check.proves)) for lab in labs for check in lab.checks)


def claim_faults() -> tuple[str, ...]:
    """What does not fit between `docs/claims.yaml` and the shipped labs."""
    labs = load_shipped_labs()
    return judge_claims(load_claims(), proving_checks(labs), [lab.name for lab in labs])


def coverage_page() -> str:
    return render_coverage(load_claims(), proving_checks(load_shipped_labs()))


def write_coverage(page: Path = COVERAGE) -> None:
    page.write_text(coverage_page(), encoding="utf-8")


if __name__ == "__main__":
    write_coverage()

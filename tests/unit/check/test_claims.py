"""The claims file, the shipped labs and the coverage page fit together; and each rule that says so can fail."""

import pytest

from labctl.check.claims import ClaimEntry, ClaimsFile, ProvingCheck, Section, Status, judge_claims, parse_claims, render_coverage
from labctl.engine.coverage import COVERAGE, claim_faults, coverage_page, load_claims
from labctl.errors import LoadError

TABLE = ClaimEntry(id="3-3-5/switch-table", text="アドレステーブルを参考にして", status=Status.PROVEN)
CHECK = ProvingCheck("l2-switch", "table", ("3-3-5/switch-table",))


def claims(*entries: ClaimEntry) -> ClaimsFile:
    return ClaimsFile(sections=(Section(section="ID_3-3-5", title="スイッチ", claims=entries),))


def changed(**changes: object) -> ClaimEntry:
    return TABLE.model_copy(update=changes)


def test_claims_and_shipped_labs_fit_together() -> None:
    assert claim_faults() == ()


def test_the_coverage_page_is_current() -> None:
    assert COVERAGE.read_text(encoding="utf-8") == coverage_page(), "write it anew: python -m labctl.engine.coverage"


def test_every_section_of_the_three_labs_is_there() -> None:
    assert {"ID_3-3-5", "ID_3-3-6", "ID_8-5-3"} <= {section.section for section in load_claims().sections}


def test_a_proven_claim_with_its_check_is_no_fault() -> None:
    assert judge_claims(claims(TABLE), [CHECK], ["l2-switch"]) == ()


@pytest.mark.parametrize(
    ("entry", "checks", "fault"),
    [
        (TABLE, [], "3-3-5/switch-table is proven, but no check names it"),
        (changed(status=Status.BEYOND), [], "3-3-5/switch-table is beyond, but no check names it"),
        (changed(status=Status.PICTURE_NOT_SEEN), [CHECK], "3-3-5/switch-table is picture not seen, but l2-switch/table names it"),
        (changed(status=Status.PLANNED, lab="hub"), [CHECK], "3-3-5/switch-table is planned, but l2-switch/table names it"),
        (changed(status=Status.IMPRECISE), [CHECK], "3-3-5/switch-table is imprecise, and no note says what is right or what stands in"),
        (
            changed(status=Status.NOT_REPRODUCIBLE),
            [],
            "3-3-5/switch-table is not reproducible, and no note says what is right or what stands in",
        ),
        (changed(status=Status.PLANNED), [], "3-3-5/switch-table: `lab` belongs to planned claims, and to each of them"),
        (changed(lab="hub"), [CHECK], "3-3-5/switch-table: `lab` belongs to planned claims, and to each of them"),
        (changed(status=Status.PLANNED, lab="l2-switch"), [], "3-3-5/switch-table is planned for l2-switch, which exists"),
    ],
)
def test_what_does_not_fit_is_told(entry: ClaimEntry, checks: list[ProvingCheck], fault: str) -> None:
    assert judge_claims(claims(entry), checks, ["l2-switch"]) == (fault,)


def test_a_check_names_known_claims_only() -> None:
    unknown = ProvingCheck("l2-switch", "table", ("3-3-5/switch-table", "3-3-5/wings"))
    assert judge_claims(claims(TABLE), [unknown], []) == ("l2-switch/table proves 3-3-5/wings, which is no claim",)


def test_a_claim_stands_in_the_file_once() -> None:
    assert judge_claims(claims(TABLE, TABLE), [CHECK], []) == ("3-3-5/switch-table stands there more than once",)


def test_a_claim_without_a_status_is_refused_with_its_place() -> None:
    text = "sections:\n  - section: ID_3-3-5\n    title: スイッチ\n    claims:\n      - {id: 3-3-5/switch-table, text: アドレステーブル}\n"
    with pytest.raises(LoadError) as refused:
        parse_claims(text.encode(), "docs/claims.yaml")
    [fault] = refused.value.faults
    assert (fault.line, fault.what) == (5, "sections.0.claims.0.status: Field required")


def test_a_page_names_status_lab_and_checks() -> None:
    page = render_coverage(claims(TABLE, changed(id="3-3-5/bridge", status=Status.PLANNED, lab="bridge-segments")), [CHECK])
    assert "| 3-3-5/switch-table | アドレステーブルを参考にして | proven | l2-switch/table |  |" in page
    assert "| 3-3-5/bridge | アドレステーブルを参考にして | planned: bridge-segments |  |  |" in page
    assert "| ID_3-3-5 スイッチ | 1 | 0 | 0 | 0 | 0 | 1 |" in page

"""Thousands of changed files of the shipped labs: each ends in a lab or in faults, soon, and without growing memory.

`python -m tests.stress.fuzz` does the same with a hundred thousand and more.
"""

from pathlib import Path

from tests.stress.fuzz import Readers, fuzz

MUTANTS = 2000


def test_changed_files_of_the_shipped_labs_end_in_a_lab_or_in_faults(tmp_path: Path) -> None:
    result = fuzz(Readers.LAB, MUTANTS, tmp_path)
    assert result.faults == []
    assert result.tried == MUTANTS
    assert 0.01 < result.accepted / MUTANTS < 0.9, "some are labs still, and most are not"


def test_changed_records_and_answers_end_in_what_they_are_or_in_a_refusal(tmp_path: Path) -> None:
    for kind in (Readers.STATE, Readers.AGENT):
        result = fuzz(kind, MUTANTS, tmp_path)
        assert result.faults == []
        assert 0.01 < result.accepted / MUTANTS < 0.95

"""Labs that are written and not yet proven (tests/more/labs) stay valid, so that they can be taken up again."""

from pathlib import Path

import pytest

from labctl.lab.load import load_lab
from labctl.lab.topology import Lab

PLACE = Path(__file__).parents[2] / "more" / "labs"
FILES = sorted(PLACE.glob("*/lab.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_a_lab_in_the_making_is_valid_and_has_its_guides(file: Path) -> None:
    lab: Lab = load_lab(file)
    for variant in lab.variants:
        load_lab(file, variant=variant)
    assert all(check.sabotage for check in lab.checks)
    assert (file.parent / "guide.md").exists()
    assert (file.parent / "guide.ja.md").exists()


def test_each_of_them_says_how_far_it_is() -> None:
    listed = {line.split("|")[1].strip() for line in (PLACE / "README.md").read_text().splitlines() if line.startswith("| ")}
    assert listed - {"lab"} == {file.parent.name for file in FILES}

"""Every message of the loader, one bad lab each: `golden/load_errors/<case>.yaml` gives `<case>.txt`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.errors import Fault, LoadError
from labctl.lab.load import load_lab

CASES = Path(__file__).parent.parent / "golden" / "load_errors"


def told(fault: Fault) -> str:
    place = f"{Path(fault.file).name}:{fault.line}:{fault.column}" if fault.line else Path(fault.file).name
    lines = [f"{place}: {fault.what}", f"    {fault.why}" if fault.why else "", f"    hint: {fault.hint}" if fault.hint else ""]
    return "\n".join(line for line in lines if line)


@pytest.mark.parametrize("case", sorted(CASES.glob("*.yaml")), ids=lambda case: case.stem)
def test_the_faults_of_a_bad_lab_are_told_all_at_once_and_with_their_places(case: Path, golden: Callable[[Path, str], None]) -> None:
    with pytest.raises(LoadError) as caught:
        load_lab(case)
    golden(case.with_suffix(".txt"), "\n".join(told(fault) for fault in caught.value.faults) + "\n")
    own = [fault for fault in caught.value.faults if fault.file.endswith(case.name)]
    assert own == sorted(own, key=lambda fault: (fault.line, fault.column))
    assert caught.value.exit_code == 3


def test_no_text_of_a_golden_file_lacks_its_lab() -> None:
    assert {text.stem for text in CASES.glob("*.txt")} <= {lab.stem for lab in CASES.glob("*.yaml")}

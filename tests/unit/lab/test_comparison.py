"""`comparison.yaml`: what may stand in it, and what is said of what may not."""

from pathlib import Path

import pytest

from labctl.errors import LoadError, UsageError
from labctl.lab.comparison import load_comparison
from labctl.lab.load import find_lab, load_lab
from labctl.lab.yaml12 import MAX_BYTES

GOOD = """
start: start
kinds:
  - {id: native, title: native, says: a process, node: one, yardstick: true}
  - {id: hosted, title: hosted, says: a machine, node: one}
  - {id: xen, title: xen, says: a domain, node: two}
measures:
  - {id: start, title: start, unit: s, better: less, tool: nginx, node: vehicle $KIND start}
  - {id: cpu, title: CPU, better: more, tool: sysbench, inside: sysbench cpu run, pattern: 'events: ([0-9.]+)'}
source: a paper
"""


def load(tmp_path: Path, text: str) -> str:
    """What is complained of, or nothing."""
    (tmp_path / "comparison.yaml").write_text(text)
    try:
        load_comparison(tmp_path / "lab.yaml")
    except LoadError as error:
        return "\n".join(f"{fault.place}: {fault.what} {fault.why}" for fault in error.faults)
    return ""


def test_a_kind_is_compared_with_the_yardstick_of_its_own_node(tmp_path: Path) -> None:
    (tmp_path / "comparison.yaml").write_text(GOOD)
    found = load_comparison(tmp_path / "lab.yaml")
    native, hosted, xen = found.kinds
    assert found.yardstick_of(hosted) is native
    assert found.yardstick_of(xen) is None


def test_the_shipped_one_fits_its_lab() -> None:
    file = find_lab("virtualisation")
    comparison = load_comparison(file)
    assert {kind.node for kind in comparison.kinds} <= {node.name for node in load_lab(file).nodes}
    assert {measure.id for measure in comparison.measures if measure.quick} == {"start", "memory", "cpu"}
    assert all(comparison.yardstick_of(kind) for kind in comparison.kinds)


def test_a_lab_without_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to compare"):
        load_comparison(tmp_path / "lab.yaml")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("start: start", "start: boot"), "comparison.yaml:2:8: no measure `boot`"),
        (("pattern: 'events: ([0-9.]+)'", "pattern: 'events'"), "one group in parentheses is the figure"),
        (("pattern: 'events: ([0-9.]+)'", "pattern: '(['"), "no regular expression"),
        (("inside: sysbench cpu run", "inside: a, node: b"), "`cpu` needs one of `node` and `inside`"),
        (("better: more", "better: most"), "better"),
        (("tool: nginx", "tool: nginx, not_for: [vm]"), "no kind `vm`"),
        (
            ("source: a paper", "source: a paper\npublished: [{measure: cpu, kind: vm, ratio: 1, says: x}]"),
            "no measure `cpu` of a kind `vm`",
        ),
        (("source: a paper", "source: a paper\nround: 3"), "no field `round`"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, change: tuple[str, str], complaint: str) -> None:
    assert load(tmp_path, GOOD) == ""
    assert complaint in load(tmp_path, GOOD.replace(*change))


def test_a_file_that_cannot_be_read_is_no_traceback(tmp_path: Path) -> None:
    assert load(tmp_path, "#" * (MAX_BYTES + 1)) != ""
    assert load(tmp_path, "") != ""
    assert load(tmp_path, "- a\n- b\n") != ""

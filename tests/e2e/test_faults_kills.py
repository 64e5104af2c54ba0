"""The short form of the SIGKILL sweep (`make stress` is the long one): a few points for each of the four that are killed."""

import pytest

from tests.stress.sweep import Sweep

pytestmark = pytest.mark.e2e
POINTS = (
    ("labctl", "up", "begin wires", 0.0),
    ("labctl", "up --fresh", "", 0.5),
    ("labctl", "reset", "", 0.6),
    ("labctl", "checkpoint save", "", 0.5),
    ("libvirtd", "up --fresh", "", 0.4),
    ("libvirtd", "checkpoint goto", "", 0.6),
    ("qemu", "up", "", 0.7),
    ("qemu", "reset", "", 0.6),
    ("first", "up --fresh", "", 0.6),
    ("first", "down", "", 0.5),
)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    return Sweep(tmp_path_factory.mktemp("sweep"))


@pytest.mark.parametrize(("target", "verb", "step", "part"), POINTS)
def test_a_kill_loses_nothing_and_leaves_nothing(sweep: Sweep, target: str, verb: str, step: str, part: float) -> None:
    outcome = sweep.one(next(each for each in sweep.verbs() if each.name == verb), target, step, part)
    assert outcome.killed
    assert outcome.faults == [], outcome


def test_the_listing_would_show_a_leak(sweep: Sweep) -> None:
    """The witness: something left on purpose is found."""
    before = sweep.rig.listing()
    left = [sweep.rig.state / "scratch" / "left", sweep.rig.cache / "warm" / "half", sweep.rig.cache / "images" / ".building-x"]
    for place in left:
        place.mkdir(parents=True)
    assert len(sweep.rig.leaks(before)) == len(left)
    for place in left:
        place.rmdir()

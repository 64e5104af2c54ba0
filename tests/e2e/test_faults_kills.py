"""The short form of the SIGKILL sweep (`make stress` is the long one): a few points for each of the four that are killed."""

import pytest

from tests.stress.sweep import Sweep

pytestmark = pytest.mark.e2e
POINTS = (
    ("labctl", "up", "begin wires", 0.0),
    ("labctl", "reset", "", 0.6),
    ("labctl", "checkpoint save", "", 0.5),
    ("labctl", "halt", "", 0.5),
    ("libvirtd", "up --fresh", "", 0.4),
    ("libvirtd", "checkpoint goto", "", 0.6),
    ("qemu", "reset", "", 0.6),
    ("first", "down", "", 0.5),
    ("first", "up", "", 0.6),
)
# Seconds that the verbs take, guessed and not measured: a point that comes too late is tried again, earlier.
DURATIONS = {"up": 4.0, "up --fresh": 10.0, "down": 0.4, "reset": 4.0, "halt": 6.0, "checkpoint save": 6.0, "checkpoint goto": 4.0}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    sweep = Sweep(tmp_path_factory.mktemp("sweep"))
    sweep.durations.update(DURATIONS)
    return sweep


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

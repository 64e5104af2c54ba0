"""`make bench`: times the commands that a person types, on real machines, prints tables and writes docs/performance.md.

Owns the words of the command and the order of parts. Three steps, all into one file of samples: `labctl` as an ordinary user, `vagrant`
as root beside a libvirtd of its own, `report` from what both left. Nothing is judged here but a figure against its goal.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # also when it is started by its path

from tests.bench.labctl_side import CommandFailed, LabctlSide, open_labctl
from tests.bench.machine import probe_busy_cores
from tests.bench.page import render_page, render_tables
from tests.bench.plot import can_draw, draw_growth
from tests.bench.runner import measure_runner
from tests.bench.samples import Samples
from tests.bench.vagrant_side import VagrantFailed, VagrantSide


def run_parts(parts: Mapping[str, Callable[[], None]], chosen: str, samples: Samples) -> bool:
    """Run the parts named in `chosen` (with commas; all if empty). What fails is kept for the page, and the next part begins."""
    names = chosen.split(",") if chosen else list(parts)
    good = True
    for name in names:
        print(f"bench: {name} …", flush=True)
        samples.begin(name, probe_busy_cores())
        try:
            parts[name]()
            print(f"bench: {name}: done", flush=True)
        except (CommandFailed, VagrantFailed) as failed:
            samples.fail(name, str(failed))
            print(f"bench: {name}: {failed}", file=sys.stderr)
            good = False
    return good


def measure_labctl(chosen: argparse.Namespace, samples: Samples) -> bool:
    with open_labctl() as labctl:
        side = LabctlSide(labctl, samples, quick=chosen.quick, runs=2 if chosen.quick else chosen.runs)
        side.describe()
        try:
            return run_parts(side.parts, chosen.only, samples)
        finally:
            labctl.down_all()


def measure_empty(chosen: argparse.Namespace, samples: Samples) -> bool:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return run_parts({"empty": lambda: measure_runner(samples, cache, chosen.labs.split())}, "", samples)


def measure_vagrant(chosen: argparse.Namespace, samples: Samples) -> bool:
    side = VagrantSide(chosen.box.resolve(), chosen.place.resolve(), samples, runs=1 if chosen.quick else 2)
    side.describe()
    return run_parts(side.parts, chosen.only, samples)


def report(chosen: argparse.Namespace, samples: Samples) -> bool:
    print(render_tables(samples))
    if chosen.docs is not None:
        image = chosen.docs / "images" / "up-by-nodes.svg"
        drawn = draw_growth(samples, image)
        (chosen.docs / "performance.md").write_text(render_page(samples, drawn=drawn))
        print(f"written: {chosen.docs / 'performance.md'}" + ("" if drawn or can_draw() else "; no plot: apt install gnuplot-nox"))
    return True


STEPS = {"labctl": measure_labctl, "empty": measure_empty, "vagrant": measure_vagrant, "report": report}


def main() -> int:
    parser = argparse.ArgumentParser(description="How long things take here; proves nothing.")
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--samples", type=Path, default=Path("build/bench.json"), help="the file that all steps share")
    parser.add_argument("--only", default="", metavar="PART,…", help="only these parts of a side; samples are added to those there")
    parser.add_argument("--runs", type=int, default=5, help="samples of each command of labctl's")
    parser.add_argument("--quick", action="store_true", help="fewer samples, and no more than 10 nodes")
    parser.add_argument("--labs", default="", metavar="'LAB …'", help="what the empty runner proves; nothing = all labs")
    parser.add_argument("--box", type=Path, default=Path("build/box"), help="where packaging/vagrant-box.sh made the box")
    parser.add_argument("--place", type=Path, default=Path("build/vagrant"), help="where Vagrant's labs are made")
    parser.add_argument("--docs", type=Path, help="write performance.md and its plot below this directory")
    chosen = parser.parse_args()
    return 0 if STEPS[chosen.step](chosen, Samples.load(chosen.samples)) else 1


if __name__ == "__main__":
    sys.exit(main())

"""What of the bench needs no machine: its labs, its page, its plot, the Vagrantfile."""

from pathlib import Path

import pytest

from labctl.lab.load import load_lab
from tests.bench.figures import SIZES, growth
from tests.bench.labs import render_lab
from tests.bench.page import commands_table, missed_list, render_page, vagrant_table
from tests.bench.plot import render_script
from tests.bench.samples import LABCTL, VAGRANT, Samples
from tests.bench.vagrant_side import render_vagrantfile


@pytest.fixture
def samples(tmp_path: Path) -> Samples:
    return Samples(tmp_path / "samples.json")


@pytest.mark.parametrize("nodes", SIZES)
def test_a_lab_of_any_measured_size_is_valid_and_one_broadcast_domain(nodes: int, tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(render_lab(nodes))
    lab = load_lab(file)
    assert len(lab.nodes) == nodes
    assert len(lab.links) == nodes - 1


def test_another_subnet_is_another_lab() -> None:
    assert render_lab(4, subnet=1) != render_lab(4, subnet=2)


def test_a_median_over_its_goal_is_said_to_be_not_reached(samples: Samples) -> None:
    for seconds in (0.1, 3.0, 9.0):
        samples.add(LABCTL, "status-4", seconds)
    assert "| `status`, 4 nodes | ≤ 0.2 s | 3.00 s | 0.10–9.00 | 3 | **no** |" in commands_table(samples)
    assert "`status`, 4 nodes: 3.00 s instead of 0.2 s" in missed_list(samples)


def test_what_was_not_measured_is_said_to_be_not_run(samples: Samples) -> None:
    page = render_page(samples, drawn=False)
    assert "| `down`, 10 nodes | ≤ 0.5 s | not run |  | 0 |  |" in page
    assert "Vagrant was not run" in page
    assert "up-by-nodes.svg" not in page


def test_a_ratio_is_printed_only_where_both_sides_were_measured(samples: Samples) -> None:
    samples.add(LABCTL, "status-4", 0.1)
    samples.add(LABCTL, "up-known-4", 1.5)
    samples.add(VAGRANT, "up-4", 150.0)
    table = vagrant_table(samples)
    assert "| 1.50 s (1.50–1.50; 1) | 150.0 s (150.0–150.0; 1) | 100 |" in table
    assert "status" not in table


def test_samples_of_two_parts_of_a_run_are_added_up(samples: Samples) -> None:
    samples.add(LABCTL, "help", 0.1)
    Samples.load(samples.file).add(LABCTL, "help", 0.2)
    assert Samples.load(samples.file).of(LABCTL, "help") == [0.1, 0.2]


def test_a_busy_machine_is_named_on_the_page(samples: Samples) -> None:
    samples.begin("four", 1.25)
    samples.begin("ten", 0.05)
    page = render_page(samples, drawn=False)
    assert "four 1.2" in page
    assert "ten 0.1" not in page


def test_the_plot_has_a_curve_for_each_way_that_was_measured(samples: Samples) -> None:
    assert render_script(samples) == ""
    samples.add(LABCTL, growth("clone", 4), 5.0)
    script = render_script(samples)
    assert "$clone << END\n4 5.0 5.0 5.0\nEND" in script
    assert "$cold" not in script


def test_vagrant_emulates_the_same_processor_only_where_labctl_does(tmp_path: Path) -> None:
    (tmp_path / "cmdline").write_text("root=/dev/vda\n")
    assert 'cpu_model = "qemu64"' in render_vagrantfile(tmp_path, 4, "tcg")
    assert 'driver = "kvm"' in render_vagrantfile(tmp_path, 4, "kvm")
    assert "cpu_model" not in render_vagrantfile(tmp_path, 4, "kvm")

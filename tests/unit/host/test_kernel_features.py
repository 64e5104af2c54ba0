"""Namespaces and wires: judged from recorded answers, and tried for real where the tests run as an ordinary user."""

import os
from pathlib import Path

import pytest

from labctl.host.finding import State
from labctl.host.kernel_features import judge_wires, probe_instance


def test_a_kernel_that_has_everything_is_fine_and_names_it() -> None:
    found = judge_wires(["tap|", "bridge|"])
    assert found.state is State.OK
    assert "tap, bridge" in found.what


def test_each_refused_feature_is_named_with_what_was_said_and_the_module_to_load() -> None:
    lines = [
        "tap|",
        "ingress queue|RTNETLINK answers: No such file or directory",
        "u32 filter with mirred redirect|Error: TC classifier not found.",
    ]
    found = judge_wires(lines)
    assert found.state is State.FAIL
    assert "ingress queue, u32 filter" in found.what
    assert "No such file or directory" in found.why
    assert found.fix == (("modprobe", "-a", "sch_ingress", "cls_u32", "act_mirred"),)


def test_without_taps_nothing_else_is_blamed() -> None:
    found = judge_wires(["tap|open: Permission denied", "bridge|Cannot find device wire1", "ingress queue|Cannot find device wire0"])
    assert found.state is State.FAIL
    assert (found.why, found.fix) == ("open: Permission denied", ())


@pytest.mark.skipif(os.geteuid() == 0, reason="labs run as an ordinary user")
def test_a_real_trial_leaves_nothing_behind(tmp_path: Path) -> None:
    namespaces, wires = probe_instance(tmp_path)
    assert (namespaces.state, wires.state) == (State.OK, State.OK)
    assert list(tmp_path.iterdir()) == []

"""The answer of the host trial: remembered for this QEMU and accelerator, and no other."""

import json
from pathlib import Path

from labctl.host.finding import State
from labctl.host.start_trial import FAILS, WORKS, known_trial, probe_start, remember_trial


def test_an_answer_is_remembered_for_its_accelerator_and_told(tmp_path: Path) -> None:
    assert known_trial(tmp_path) is None
    assert probe_start(tmp_path).state is State.UNPROVEN
    remember_trial(tmp_path, "tcg", WORKS, "after 0.6 s")
    known = known_trial(tmp_path, "tcg")
    assert known is not None
    assert known.way == WORKS
    assert known_trial(tmp_path, "kvm") is None
    assert probe_start(tmp_path).state is State.OK


def test_a_start_that_failed_is_told_with_its_reason_and_is_no_failure_of_the_machine(tmp_path: Path) -> None:
    remember_trial(tmp_path, "kvm", FAILS, "migration failed")
    finding = probe_start(tmp_path)
    assert finding.state is State.WARN
    assert "migration failed" in finding.why


def test_another_qemu_is_tried_anew(tmp_path: Path) -> None:
    remember_trial(tmp_path, "tcg", FAILS, "x")
    file = tmp_path / "start-trial.json"
    kept = json.loads(file.read_text())
    file.write_text(json.dumps({**kept, "qemu": "QEMU emulator version 1.0"}))
    assert known_trial(tmp_path) is None
    file.write_text("{")
    assert known_trial(tmp_path) is None

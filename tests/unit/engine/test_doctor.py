"""The whole examination on this very machine, and mending through a runner that records."""

import json
import os
import time
from pathlib import Path

import pytest

from labctl.engine.doctor import Examination, examination_of, examine, mend, plan_mending
from labctl.errors import CommandError, HostError, StepError
from labctl.host.accelerator import Accelerator
from labctl.host.finding import Argv, Finding, State

BROKEN = Examination(
    (
        Finding("kvm-device", State.WARN, "closed", fix=(("groupadd", "-r", "kvm"), ("chmod", "0660", "/dev/kvm"))),
        Finding("tun-device", State.FAIL, "closed", "no cable", "labctl doctor --fix", (("chmod", "0666", "/dev/net/tun"),)),
        Finding("other", State.FAIL, "the same", fix=(("groupadd", "-r", "kvm"),)),
    ),
    Accelerator("tcg", "closed", 4.0),
)


def test_only_a_failure_makes_a_machine_unable() -> None:
    states = (State.OK, State.WARN, State.UNPROVEN)
    assert Examination(tuple(Finding(state, state, "") for state in states)).able
    assert not BROKEN.able


def test_an_examination_survives_json() -> None:
    assert examination_of(json.loads(json.dumps(BROKEN.as_data()))) == BROKEN


def test_each_command_is_planned_once_in_the_order_of_the_findings() -> None:
    assert plan_mending(BROKEN) == (("groupadd", "-r", "kvm"), ("chmod", "0660", "/dev/kvm"), ("chmod", "0666", "/dev/net/tun"))


@pytest.fixture
def sudo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has sudo, as far as looking for it tells."""
    (tmp_path / "sudo").write_text("#!/bin/sh\n")
    (tmp_path / "sudo").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("sudo")
def test_mending_goes_on_after_a_refusal_and_names_it_at_the_end() -> None:
    asked: list[Argv] = []

    def run(argv: Argv) -> None:
        asked.append(argv)
        if "groupadd" in argv:
            raise CommandError("groupadd ended with status 10")

    with pytest.raises(StepError) as refused:
        mend(BROKEN, run)
    assert len(asked) == 3
    assert "1 of 3" in refused.value.what
    assert "groupadd -r kvm: groupadd ended with status 10" in refused.value.why


@pytest.mark.usefixtures("sudo")
def test_mending_uses_sudo_only_where_it_must() -> None:
    asked: list[Argv] = []
    done = mend(BROKEN, asked.append)
    assert done[0] == "groupadd -r kvm"
    assert all((argv[0] == "sudo") == (os.geteuid() != 0) for argv in asked)


@pytest.mark.skipif(os.geteuid() == 0, reason="root needs no sudo")
def test_without_sudo_the_commands_are_told_and_none_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    asked: list[Argv] = []
    with pytest.raises(HostError) as refused:
        mend(BROKEN, asked.append)
    assert asked == []
    assert "groupadd -r kvm; chmod 0660 /dev/kvm; chmod 0666 /dev/net/tun" in refused.value.hint


def test_an_examination_is_quick_changes_nothing_and_ends_with_the_accelerator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    began = time.monotonic()
    found = examine()
    assert time.monotonic() - began < 30
    ids = [finding.id for finding in found.findings]
    assert len(ids) == len(set(ids))
    assert ids[0] == "account"
    assert found.findings[-1].id == "accelerator"
    assert found.findings[-1].state is State.UNPROVEN
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

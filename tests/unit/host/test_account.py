"""Who labctl runs as: subordinate ids by subuid(5), and why a kernel refuses namespaces."""

from pathlib import Path

import pytest

from labctl.host.account import (
    Account,
    explain_refused_namespaces,
    forbidding_switches,
    next_free_range,
    probe_account,
    probe_subordinate_ids,
    ranges_of,
)
from labctl.host.finding import State

STUDENT = Account("student", 1001, ("student",))
PROFILE = Path("/usr/share/labctl/apparmor-profile")


def test_root_is_refused_and_told_how_to_go_on() -> None:
    found = probe_account(Account("root", 0, ("root",)))
    assert found.state is State.FAIL
    assert "--as USER" in found.hint
    assert probe_account(STUDENT).state is State.OK


def test_ranges_are_found_by_name_and_by_number() -> None:
    text = "root:1:1\nstudent:100000:65536\n1001:300000:10\nstudents:1:1\n"
    assert ranges_of(text, STUDENT) == [(100000, 65536), (300000, 10)]


def test_a_new_range_lies_after_every_other_of_both_files() -> None:
    assert next_free_range("", "") == (100_000, 165_535)
    assert next_free_range("a:100000:65536\n", "a:100000:65536\nb:165536:65536\n") == (231_072, 296_607)
    assert next_free_range("not a line\nx:y:z\n") == (100_000, 165_535)


def test_missing_subordinate_ids_are_mended_by_one_command_for_what_lacks(tmp_path: Path) -> None:
    subuid, subgid = tmp_path / "subuid", tmp_path / "subgid"
    subuid.write_text("other:100000:65536\n")
    both = probe_subordinate_ids(STUDENT, subuid, subgid)
    assert both.state is State.FAIL
    assert both.fix == (("usermod", "--add-subuids", "165536-231071", "--add-subgids", "165536-231071", "student"),)
    subuid.write_text("student:100000:65536\n")
    assert probe_subordinate_ids(STUDENT, subuid, subgid).fix == (("usermod", "--add-subgids", "165536-231071", "student"),)


def test_a_range_too_small_for_an_image_does_not_count(tmp_path: Path) -> None:
    for name in ("subuid", "subgid"):
        (tmp_path / name).write_text("student:100000:1000\n")
    assert probe_subordinate_ids(STUDENT, tmp_path / "subuid", tmp_path / "subgid").state is State.FAIL


def test_ubuntus_restriction_is_recognised_and_a_profile_offered(tmp_path: Path) -> None:
    (tmp_path / "kernel").mkdir()
    (tmp_path / "kernel" / "apparmor_restrict_unprivileged_userns").write_text("1\n")
    switches = forbidding_switches(tmp_path)
    found = explain_refused_namespaces("unshare failed", switches, PROFILE)
    assert found.state is State.FAIL
    assert "AppArmor" in found.why
    assert found.fix[0][-2:] == (str(PROFILE), "/etc/apparmor.d/labctl-unshare")
    assert found.fix[1][0] == "apparmor_parser"


@pytest.mark.parametrize(
    ("switch", "value", "setting"),
    [
        ("user/max_user_namespaces", "0", "user.max_user_namespaces=15000"),
        ("user/max_net_namespaces", "0", "user.max_net_namespaces=15000"),
        ("kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
    ],
)
def test_a_kernel_switch_that_forbids_is_named_with_the_setting_that_allows(tmp_path: Path, switch: str, value: str, setting: str) -> None:
    (tmp_path / switch).parent.mkdir()
    (tmp_path / switch).write_text(f"{value}\n")
    found = explain_refused_namespaces("unshare failed", forbidding_switches(tmp_path), PROFILE)
    assert found.fix == (("sysctl", "-w", setting),)
    assert setting in found.hint


def test_a_refusal_without_a_switch_points_at_the_container(tmp_path: Path) -> None:
    assert forbidding_switches(tmp_path) == []
    found = explain_refused_namespaces("unshare: Operation not permitted", [], PROFILE)
    assert found.why == "unshare: Operation not permitted"
    assert "container" in found.hint
    assert found.fix == ()

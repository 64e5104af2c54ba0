"""What the makers share: failures told in a person's words, and room asked for before it is needed."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.errors import CommandError, HostError, TimedOut
from labctl.host.image_packages import install
from labctl.host.image_tools import explained, no_room, remove_tree, require_room, run_long, scratch_directory


def failure(output: str) -> CommandError:
    return CommandError("mmdebstrap ended with status 25", why=output, command="mmdebstrap", status=25, output=output)


@pytest.mark.parametrize(
    ("output", "what"),
    [
        ("W: Temporary failure resolving 'deb.debian.org'", "names of package servers cannot be resolved"),
        ("E: Unable to locate package ngimx", "there is no such package in Debian"),
        ("E: newuidmap 4711 failed", "user namespaces with subordinate ids do not work here"),
        ("dpkg: error: write: No space left on device", "no room to make the image"),
    ],
)
def test_a_known_reason_is_told_in_words(tmp_path: Path, output: str, what: str) -> None:
    told = explained(failure(output), tmp_path)
    assert isinstance(told, HostError)
    assert what in told.what
    assert told.hint


def test_an_unknown_reason_is_passed_on(tmp_path: Path) -> None:
    unknown = failure("something new")
    assert explained(unknown, tmp_path) is unknown


def test_a_full_disk_is_told_with_place_and_amount(tmp_path: Path) -> None:
    told = no_room(tmp_path / "build", "OSError: No space left on device")
    assert f"MiB in {tmp_path}" in told.why
    assert "labctl image prune" in told.hint
    with pytest.raises(HostError, match="no room for a test") as raised:
        require_room(tmp_path, 1 << 40, "for a test")
    assert str(tmp_path) in raised.value.why
    assert f"{1 << 40} MiB are needed" in raised.value.why
    require_room(tmp_path, 1, "for a test")


def test_a_program_that_does_not_end_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(TimedOut):
        run_long(["sleep", "100"], tmp_path, timeout_s=0.1)
    assert run_long(["sh", "-c", "echo said"], tmp_path, timeout_s=5).text == "said\n"
    with pytest.raises(CommandError, match="status 3"):
        run_long(["sh", "-c", "exit 3"], tmp_path, timeout_s=5)


@pytest.fixture
def _closed_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_closed_umask")
def test_subordinate_ids_reach_the_scratch_directory_whatever_the_umask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with scratch_directory(tmp_path) as place:
        assert stat.S_IMODE(place.stat().st_mode) == 0o711


@pytest.mark.usefixtures("_closed_umask")
def test_files_of_an_image_do_not_depend_on_the_umask_of_who_builds_it(tmp_path: Path) -> None:
    run_long(["touch", str(tmp_path / "made")], tmp_path, timeout_s=5)
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o644


def test_a_name_that_apt_would_take_for_a_removal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="'bash-' is no name"):
        install(tmp_path, ["nginx", "bash-"], 1)


def test_removing_what_is_not_there_is_no_failure(tmp_path: Path) -> None:
    remove_tree(tmp_path / "never")

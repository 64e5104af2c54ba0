"""Root is refused, or goes on as an ordinary user."""

from pathlib import Path

import pytest

from labctl.cli.user import environment_of, own_command, switch_argv, without_as
from tests.unit.cli.test_verbs import labctl


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("--as labctl up l2-switch", "up l2-switch"),
        ("up l2-switch --as=labctl -q", "up l2-switch -q"),
        ("exec pc1 -- run --as somebody", "exec pc1 -- run --as somebody"),
        ("status", "status"),
    ],
)
def test_the_option_is_taken_off_the_command_line_that_goes_on(words: str, kept: str) -> None:
    assert " ".join(without_as(words.split())) == kept


def test_root_changes_user_by_runuser_and_others_by_sudo() -> None:
    assert switch_argv("ann", ["labctl", "up"], root=True) == ["runuser", "-u", "ann", "--", "labctl", "up"]
    assert switch_argv("ann", ["labctl", "up"], root=False) == ["sudo", "-H", "-u", "ann", "--", "labctl", "up"]


def test_nothing_of_roots_own_places_travels() -> None:
    mine = {"HOME": "/root", "XDG_RUNTIME_DIR": "/run/user/0", "LANG": "ja_JP.UTF-8", "SECRET": "x"}
    assert environment_of("/home/ann", "ann", mine) == {"LANG": "ja_JP.UTF-8", "HOME": "/home/ann", "USER": "ann", "LOGNAME": "ann"}


def test_labctls_own_variables_travel() -> None:
    mine = {"LABCTL_IMAGES": "/srv/images", "LABCTL_SAVED_GIB": "5"}
    assert mine.items() <= environment_of("/home/ann", "ann", mine).items()


def test_the_same_program_is_started_again(tmp_path: Path) -> None:
    program = tmp_path / "labctl"
    program.touch()
    assert own_command(str(program)) == [str(program)]
    assert own_command("/nowhere/__main__.py")[1:] == ["-m", "labctl.cli"]


def test_an_unknown_user_is_named() -> None:
    refused = labctl("status", "--as", "nobody-of-that-name")
    assert (refused.returncode, "there is no user 'nobody-of-that-name'" in refused.stderr) == (2, True)


def test_a_name_for_an_instance_is_no_path() -> None:
    refused = labctl("up", "l2-switch", "--instance", "../x")
    assert refused.returncode == 2
    assert "'../x' is no name for an instance" in refused.stderr

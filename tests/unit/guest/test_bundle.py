"""Bundles carried out for real, in a mount namespace of their own: what they write, keep, tell the script and leave behind."""

import os
import subprocess
from pathlib import Path

import pytest

from labctl.errors import StepError
from labctl.guest.bundle import ARGV, GuestFile, render_bundle

IN_A_NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs none /run && "$@" && ls /run', "sh", *ARGV)


def carry_out(bundle: bytes) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(IN_A_NAMESPACE, input=bundle, capture_output=True, check=False)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def test_files_come_with_their_modes_and_nothing_of_the_step_stays(tmp_path: Path) -> None:
    plain, secret = tmp_path / "new directory" / "it's plain", tmp_path / "secret"
    files = (GuestFile(str(plain), b"one\n"), GuestFile(str(secret), b"\x00two", 0o600))
    done = carry_out(render_bundle("x", files, "true", first=True))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (plain.read_bytes(), plain.stat().st_mode & 0o777) == (b"one\n", 0o644)
    assert (secret.read_bytes(), secret.stat().st_mode & 0o777) == (b"\x00two", 0o600)


def test_the_script_is_told_what_the_changed_files_were_before(tmp_path: Path) -> None:
    same, changed, new = (tmp_path / name for name in ("same", "changed", "new"))
    same.write_text("same\n")
    changed.write_text("old\n")
    files = (GuestFile(str(same), b"same\n"), GuestFile(str(changed), b"new\n"), GuestFile(str(new), b"new\n"))
    told = f'cd "$LABCTL_BEFORE{tmp_path}"; for file in *; do echo "$file was: $(cat "$file")"; done; echo "first: $LABCTL_FIRST"'
    later = carry_out(render_bundle("x", files, told, first=False))
    assert (later.stdout, later.stderr) == ("changed was: old\nnew was: \nfirst: 0\n", "")
    first = carry_out(render_bundle("x", files, told, first=True))
    assert (first.stdout, first.stderr) == ("changed was: new\nnew was: new\nsame was: same\nfirst: 1\n", "")


def test_a_file_that_does_not_change_is_not_written_but_gets_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"same")
    before = file.stat()
    carry_out(render_bundle("x", (GuestFile(str(file), b"same", 0o755),), "true", first=False))
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert file.stat().st_mode & 0o777 == 0o755


def test_a_file_that_is_gone_from_the_role_goes_from_the_node(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.write_text("kept for the script\n")
    done = carry_out(render_bundle("x", (), f'cat "$LABCTL_BEFORE{gone}"', first=False, removed=(str(gone), str(tmp_path / "never there"))))
    assert (done.returncode, done.stdout) == (0, "kept for the script\n")
    assert not gone.exists()


def test_a_script_that_fails_says_so_by_its_status_and_leaves_nothing(tmp_path: Path) -> None:
    done = carry_out(render_bundle("x", (GuestFile(str(tmp_path / "file"), b""),), "echo no such thing >&2; exit 7\n", first=True))
    assert (done.returncode, done.stderr, done.stdout) == (7, "no such thing\n", "")


def test_a_command_in_the_script_cannot_eat_the_rest_of_it(tmp_path: Path) -> None:
    done = carry_out(render_bundle("x", (), f"cat >{tmp_path}/eaten\necho on", first=True))
    assert done.stdout == "on\n"
    assert os.path.getsize(tmp_path / "eaten") == 0


def test_what_is_too_large_for_one_step_is_told_with_its_largest_file() -> None:
    files = (GuestFile("/small", b"x"), GuestFile("/etc/large", os.urandom(3_200_000)))
    with pytest.raises(StepError) as caught:
        render_bundle("pc1: role host", files, "", first=True)
    assert caught.value.what.startswith("pc1: role host: 3,")
    assert "/etc/large" in caught.value.why
    assert "image" in caught.value.hint


def test_the_same_files_give_the_same_script() -> None:
    files = (GuestFile("/a", b"1"), GuestFile("/b", b"2", 0o600))
    assert render_bundle("x", files, "true", first=False) == render_bundle("x", files, "true", first=False)

"""The renewal of a copy: the program itself, run here with what would change this machine taken out."""

import os
import stat
from pathlib import Path

import pytest

from labctl.guest.agent import Completed
from labctl.guest.identity import Identity
from labctl.guest.renewal import render_renewal
from tests.unit.guest.waiting import waiting

WHO = Identity("pc1", "ssh-ed25519 AAAA labctl", "-----BEGIN\nKEY$x@y\n-----END\n", "ssh-ed25519 BBBB pc1", "0" * 32)


def rendered(place: Path, role: str = "") -> bytes:
    data = render_renewal(WHO, now=1795535540.25, seed=b"\x01\xff" * 32, role=role)
    return data.replace(b" /root/", b" %s/" % bytes(place)).replace(b" /etc/", b" %s/" % bytes(place))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for directory in (".ssh", "ssh"):
        (tmp_path / directory).mkdir()
    return tmp_path


def renewed(place: Path, data: bytes) -> Completed:
    with waiting(place) as (worker, _):
        return worker.do("renew", data, timeout_s=10)


def test_it_begins_with_the_clock_and_the_seed() -> None:
    assert render_renewal(WHO, now=1795535540.25, seed=b"\x01\xff", role="").startswith(b"1795535540 250000000 01ff\n")


def test_files_arrive_whole_with_their_modes(place: Path) -> None:
    assert renewed(place, rendered(place)) == Completed(0, b"", b"")
    assert (place / "ssh" / "ssh_host_ed25519_key").read_text() == "-----BEGIN\nKEY$x@y\n-----END\n"
    assert (place / "machine-id").read_text() == "0" * 32 + "\n"
    assert stat.S_IMODE((place / "ssh" / "ssh_host_ed25519_key").stat().st_mode) == 0o600
    assert stat.S_IMODE((place / "machine-id").stat().st_mode) == 0o444


def test_a_roles_own_secrets_are_renewed_by_its_own_script(place: Path) -> None:
    assert renewed(place, rendered(place, "echo 'a $b @c 日本' > own")).status == 0
    assert (place / "own").read_text() == "a $b @c 日本\n"


@pytest.mark.parametrize(
    ("role", "said"), [("echo no room for it; exit 3", b"no room for it\nthe role's own renewal failed\n"), (None, b"cut off\n")]
)
def test_a_renewal_that_fails_says_so(role: str | None, said: bytes, place: Path) -> None:
    done = renewed(place, rendered(place, role) if role else rendered(place)[:-5])
    assert done.status == 255
    assert done.stdout.endswith(said)


@pytest.mark.parametrize(
    ("runs", "keyless", "restarted"),
    [(None, None, False), ("141 1", "141 1", False), ("180 9", "141 1", True), ("141 9", "141 1", True), ("180 9", None, True)],
    ids=["none", "the one without a node's key", "a later one", "the same one, reloaded", "one after a boot"],
)
def test_sshd_that_may_hold_a_nodes_key_is_started_anew(runs: str | None, keyless: str | None, restarted: bool, place: Path) -> None:
    for name, what in (("sshd.pid", runs), ("labctl-sshd", keyless)):
        if what is not None:
            pid, written = what.split()
            (place / name).write_text(f"{pid}\n")
            os.utime(place / name, (0, int(written)))
    assert renewed(place, rendered(place)) == Completed(0, b"", b"")
    assert (place / "restarted").exists() is restarted

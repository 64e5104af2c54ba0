"""The renewal of a copy: the program itself, run here with what would change this machine taken out."""

import stat
import subprocess
from pathlib import Path

import pytest

from labctl.guest.identity import Identity
from labctl.guest.renewal import render_renewal
from labctl.guest.worker import PROGRAM

WHO = Identity("pc1", "ssh-ed25519 AAAA labctl", "-----BEGIN\nKEY$x@y\n-----END\n", "ssh-ed25519 BBBB pc1", "0" * 32)


HARMLESS = {  # the kernel's clock, random numbers and journal of this machine stay as they are
    "syscall(227, 0, $now) == 0": "1",
    "ioctl($random, 0x40085203, ": "length(",
    "ioctl($random, 0x5207, 0)": "1",
    'kill("KILL", ': "kill(0, ",
    "/run/sshd.pid": "/nowhere",
    "syscall(133, ": "(-1, ",  # journald is held on real machines only: tests/e2e/test_warm.py
    'chdir "/"': "1",
    '"/run/labctl-said"': '"said"',
    '"/run/labctl-worker"': '"pid"',
}


def harmless() -> str:
    text = PROGRAM[-1]
    for what, instead in HARMLESS.items():
        assert what in text
        text = text.replace(what, instead)
    return text


def rendered(place: Path, role: str = "") -> bytes:
    data = render_renewal(WHO, now=1795535540.25, seed=b"\x01\xff" * 32, role=role)
    return data.replace(b" /root/", b" %s/" % bytes(place)).replace(b" /etc/", b" %s/" % bytes(place))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for directory in (".ssh", "ssh"):
        (tmp_path / directory).mkdir()
    return tmp_path


def renewed(place: Path, data: bytes) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run((*PROGRAM[:2], harmless(), "renew"), input=data, capture_output=True, check=False, cwd=place)


def test_it_begins_with_the_clock_and_the_seed() -> None:
    assert render_renewal(WHO, now=1795535540.25, seed=b"\x01\xff", role="").startswith(b"1795535540 250000000 01ff\n")


def test_files_arrive_whole_with_their_modes(place: Path) -> None:
    done = renewed(place, rendered(place))
    assert (done.returncode, done.stderr) == (0, b"")
    assert (place / "ssh" / "ssh_host_ed25519_key").read_text() == "-----BEGIN\nKEY$x@y\n-----END\n"
    assert (place / "machine-id").read_text() == "0" * 32 + "\n"
    assert stat.S_IMODE((place / "ssh" / "ssh_host_ed25519_key").stat().st_mode) == 0o600
    assert stat.S_IMODE((place / "machine-id").stat().st_mode) == 0o444


def test_a_roles_own_secrets_are_renewed_by_its_own_script(place: Path) -> None:
    done = renewed(place, rendered(place, "echo 'a $b @c 日本' > own"))
    assert done.returncode == 0, done.stderr
    assert (place / "own").read_text() == "a $b @c 日本\n"


@pytest.mark.parametrize(("role", "said"), [("false", b"the role's own renewal failed"), (None, b"cut off")])
def test_a_renewal_that_fails_says_so(role: str | None, said: bytes, place: Path) -> None:
    data = rendered(place, role) if role else rendered(place)[:-5]
    done = renewed(place, data)
    assert done.returncode != 0
    assert said in done.stderr

"""The renewal of a copy: the program itself, run here with what would change this machine taken out."""

import os
import stat
import subprocess
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from labctl.guest.identity import Identity
from labctl.guest.renewal import ARGV, for_the_port, is_last_word, render_renewal

WHO = Identity("pc1", "ssh-ed25519 AAAA labctl", "-----BEGIN\nKEY$x@y\n-----END\n", "ssh-ed25519 BBBB pc1", "0" * 32)


HARMLESS = {  # the kernel's clock, random numbers and journal of this machine stay as they are
    "syscall(227, 0, $now) == 0": "1",
    "ioctl($random, 0x40085203, ": "length(",
    "ioctl($random, 0x5207, 0)": "1",
    'kill("KILL", ': "kill(0, ",
    "/run/sshd.pid": "/nowhere",
    "my $journal = hold_journal();": "my $journal;",  # on real machines: tests/e2e/test_warm.py
}


def harmless() -> str:
    text = ARGV[-1]
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
    return subprocess.run((*ARGV[:2], harmless()), input=data, capture_output=True, check=False, cwd=place)


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


class Waiting:
    """The program, waiting at a port: a terminal without any manners, which knows both directions, as the port of a machine does."""

    def __init__(self, place: Path) -> None:
        self.end, guest = os.openpty()
        tty.setraw(guest)
        argv = (*ARGV[:2], harmless(), os.ttyname(guest))
        self.process = subprocess.Popen(argv, cwd=place)
        self.lines = os.fdopen(os.dup(self.end), "rb")
        os.set_blocking(guest, False)
        self.guest = guest

    def say(self, data: bytes) -> None:
        for start in range(0, len(data), 100):  # in pieces, as it may come
            os.write(self.end, data[start : start + 100])

    def until_last_word(self) -> list[bytes]:
        said: list[bytes] = []
        while not said or not is_last_word(said[-1]):
            said.append(self.lines.readline().rstrip(b"\n"))
        return said


@contextmanager
def waiting(place: Path) -> Iterator[Waiting]:
    there = Waiting(place)
    try:
        assert there.lines.readline() == b"waiting\n"
        yield there
    finally:
        there.process.kill()
        there.process.wait(timeout=10)
        there.lines.close()
        os.close(there.end)
        os.close(there.guest)


def test_one_that_waits_carries_out_what_comes(place: Path) -> None:
    with waiting(place) as there:
        there.say(for_the_port(rendered(place, "echo own > own")))
        assert there.until_last_word() == [b"renewed"]
        assert there.process.wait(timeout=10) == 0
    assert (place / "machine-id").read_text() == "0" * 32 + "\n"
    assert (place / "own").read_text() == "own\n"


def test_one_that_waits_says_why_it_failed(place: Path) -> None:
    with waiting(place) as there:
        there.say(for_the_port(rendered(place, "echo no room for it; exit 3")))
        assert there.until_last_word() == [b"no room for it", b"failed: the role's own renewal failed"]
        assert there.process.wait(timeout=10) == 1

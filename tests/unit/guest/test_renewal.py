"""The renewal of a copy, as a program that perl itself accepts."""

import errno
import os
import stat
import subprocess
import time
from pathlib import Path

import pytest

from labctl.guest.identity import Identity
from labctl.guest.renewal import FIFO, WAITER, render_renewal

WHO = Identity("pc1", "ssh-ed25519 AAAA labctl", "-----BEGIN\nKEY$x@y\n-----END\n", "ssh-ed25519 BBBB pc1", "0" * 32)


def rendered(role: str = "") -> str:
    return render_renewal(WHO, now=1795535540.25, seed=b"\x01\xff" * 32, role=role).decode()


def test_perl_finds_no_fault_in_it() -> None:
    for role in ("", "rm -f /var/lib/x\necho 'a $b @c'"):
        checked = subprocess.run(("perl", "-c", "-"), input=rendered(role), capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr


def test_it_carries_the_clock_the_seed_and_the_keys() -> None:
    text = rendered()
    assert 'pack("qq", 1795535540, 250000000)' in text
    assert "01ff" * 32 in text
    assert "KEY$x@y" in text
    assert "0600" in text


def test_a_roles_own_secrets_are_renewed_by_its_own_script_and_no_shell_starts_without_one() -> None:
    assert "rm -f /var/lib/x" in rendered("rm -f /var/lib/x")
    assert '"sh"' in rendered("rm -f /var/lib/x")
    assert '"sh"' not in rendered()


def opened_once_somebody_reads(fifo: Path) -> int:
    while True:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as refused:
            if refused.errno != errno.ENXIO:  # fifo(7): nobody reads
                raise
            time.sleep(0.01)


@pytest.mark.parametrize(("program", "status", "said"), [("print 6 * 7;", 0, "42"), ('die "no room\\n";', 255, "no room")])
def test_a_perl_that_waits_carries_out_what_comes_and_tells_how_it_went(program: str, status: int, said: str, tmp_path: Path) -> None:
    place = tmp_path / "fifo"
    waiting = subprocess.Popen((*WAITER[:2], WAITER[2].replace(FIFO, str(place))), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    while not place.exists():
        time.sleep(0.01)
    assert (stat.S_ISFIFO(place.stat().st_mode), stat.S_IMODE(place.stat().st_mode)) == (True, 0o600)
    handle = opened_once_somebody_reads(place)
    os.write(handle, program.encode())
    os.close(handle)
    printed, _ = waiting.communicate(timeout=10)
    assert (waiting.returncode, printed.decode().strip()) == (status, said)
    assert not place.exists(), "nobody else's program can come after it"

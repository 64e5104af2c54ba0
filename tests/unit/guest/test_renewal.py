"""The renewal of a copy, as a program that perl itself accepts."""

import subprocess

from labctl.guest.identity import Identity
from labctl.guest.renewal import render_renewal

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

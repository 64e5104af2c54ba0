"""What must differ between two copies of one machine, renewed before the copy is called ready. Pure.

Owns what `guest/worker`, which does it, reads: SSH host key, the person's key, machine-id, seed of the kernel's random numbers,
clock, and the role's own script (`renew:`). Keys are made on the host. What cannot be renewed (boot_id, ASLR of processes that run) stands
in docs/security.md.
"""

from labctl.guest.identity import Identity

RENEW_S = 30.0
SEED_BYTES = 64
ROLE = "role"  # stands in a path's place: what follows is the role's own script


def render_renewal(identity: Identity, *, now: float, seed: bytes, role: str) -> bytes:
    """What the program reads: a line of clock and seed, then for each file a line of mode, length in bytes and path, and its bytes.

    `now`: seconds since 1970 (UTC) when it is sent; `seed`: random bytes; `role`: the role's own shell script, or empty.
    """
    files = [
        ("/root/.ssh/authorized_keys", 0o600, f"{identity.authorized_key}\n"),
        ("/etc/ssh/ssh_host_ed25519_key", 0o600, identity.host_key_private.rstrip("\n") + "\n"),
        ("/etc/ssh/ssh_host_ed25519_key.pub", 0o644, f"{identity.host_key_public}\n"),
        ("/etc/machine-id", 0o444, f"{identity.machine_id}\n"),
        *([(ROLE, 0, role)] if role else []),
    ]
    head = f"{int(now)} {int(now % 1 * 1e9)} {seed.hex()}\n".encode()
    return head + b"".join(_file(path, mode, text.encode()) for path, mode, text in files)


def _file(path: str, mode: int, content: bytes) -> bytes:
    return f"{mode:o} {len(content)} {path}\n".encode() + content

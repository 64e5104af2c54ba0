"""What must differ between two copies of one machine, renewed before the copy is called ready. Pure.

Owns the program: SSH host key, the person's key, machine-id, the kernel's random numbers, the clock, and what the role lists in `renew:`.
Keys are made on the host. It is perl (in every Debian: perl-base is essential), one process, since each further one costs tens of
milliseconds under emulation. What cannot be renewed (boot_id, ASLR of processes that run) stands in docs/security.md.
"""

from labctl.guest.identity import Identity

RENEW_S = 30.0
SEED_BYTES = 64
ARGV = ("/usr/bin/perl", "-")
END = "END-OF-FILE"

# A machine that is to be saved lets a perl wait for the program at a FIFO: in its copies nothing has to be forked, executed and translated
# anew, which under emulation is two thirds of a renewal. mknod(2) is 133 on x86_64; perl-base has no mkfifo.
FIFO = "/run/labctl-renewal"
WAITER = ("/usr/bin/perl", "-e", f"""\
my $at = "{FIFO}"; unlink $at;
syscall(133, $at, 0010600, 0) == 0 or die "$at: $!";
open(my $fifo, "<", $at) or die "$at: $!";
unlink $at; local $/; my $program = <$fifo>; eval $program; die $@ if $@;
""")  # fmt: skip
WAITS = ("/usr/bin/test", "-p", FIFO)

# random(4): RNDADDENTROPY (0x40085203) mixes the seed in and credits it, RNDRESEEDCRNG (0x5207) makes the generator start anew from it at
# once: without, copies give the same numbers until the next reseed, up to a minute later. 227 is clock_settime(2) on x86_64.
PROGRAM = """\
use strict;
sub put {{
  my ($path, $mode, $text) = @_;
  open(my $file, ">", "$path.new") or die "$path: $!";
  chmod $mode, "$path.new";
  print $file $text;
  close($file) && rename("$path.new", $path) or die "$path: $!";
}}
my $now = pack("qq", {seconds}, {nanoseconds});
syscall(227, 0, $now) == 0 or die "clock_settime: $!";
my $seed = pack("H*", "{seed}");
open(my $random, "+<", "/dev/urandom") or die "urandom: $!";
ioctl($random, 0x40085203, pack("ii", 8 * length $seed, length $seed) . $seed) or die "RNDADDENTROPY: $!";
ioctl($random, 0x5207, 0) or die "RNDRESEEDCRNG: $!";
{files}
for my $comm (glob "/proc/[0-9]*/comm") {{  # the journal's directory is named after the machine-id; systemd starts it again at once
  open(my $file, "<", $comm) or next;
  kill("KILL", $comm =~ /(\\d+)/) if <$file> eq "systemd-journal\\n";
}}
if (-e "/run/sshd.pid") {{ system("systemctl", "try-restart", "ssh.service") == 0 or die "sshd does not restart"; }}
open(my $role, "|-", "sh", "-eu", "-s") or die "sh: $!";
print $role <<'{end}';
{role}
{end}
close($role) or die "the role's own renewal failed";
"""
PUT = """put("{path}", {mode:#o}, <<'{end}');\n{text}\n{end}"""


def render_renewal(identity: Identity, *, now: float, seed: bytes, role: str) -> bytes:
    """The program that renews a copy, for the standard input of `ARGV`.

    `now`: seconds since 1970 (UTC) when it is sent; `seed`: random bytes; `role`: the role's own shell script, or empty.
    """
    files = (
        ("/root/.ssh/authorized_keys", 0o600, identity.authorized_key),
        ("/etc/ssh/ssh_host_ed25519_key", 0o600, identity.host_key_private.rstrip("\n")),
        ("/etc/ssh/ssh_host_ed25519_key.pub", 0o644, identity.host_key_public),
        ("/etc/machine-id", 0o444, identity.machine_id),
    )
    puts = "\n".join(PUT.format(path=path, mode=mode, text=text, end=END).replace("0o", "0") for path, mode, text in files)
    text = PROGRAM.format(
        seconds=int(now), nanoseconds=int(now % 1 * 1e9), seed=seed.hex(), files=puts, role=role.rstrip("\n"), end=END
    )  # fmt: skip
    return text.encode() if role else _without_role(text).encode()


def _without_role(text: str) -> str:
    """No shell where no role needs one."""
    return text.partition("open(my $role")[0]

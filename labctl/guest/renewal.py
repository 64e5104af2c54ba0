"""What must differ between two copies of one machine, renewed before the copy is called ready. Pure.

Owns the program and what it reads: SSH host key, the person's key, machine-id, seed of the kernel's random numbers, clock, and the role's
own script (`renew:`). Keys are made on the host. It is perl (in every Debian: perl-base is essential), one process, since each further one
costs tens of milliseconds under emulation. What cannot be renewed (boot_id, ASLR of processes that run) stands in docs/security.md.
"""

from labctl.guest.identity import Identity

RENEW_S = 30.0
SEED_BYTES = 64
FIFO = "/run/labctl-renewal"
ROLE = "role"  # stands in a path's place: what follows is the role's own script

# A machine that is to be saved lets this program wait at a FIFO. In its copies it is there then, compiled, and knows whom to end: nothing
# has to be forked, executed and compiled anew, most of a renewal under emulation. mknod(2) is 133, clock_settime(2) 227 on x86_64.
# random(4): RNDADDENTROPY (0x40085203) mixes the seed in and credits it, RNDRESEEDCRNG (0x5207) makes the generator start anew from it at
# once: without, copies give the same numbers until the next reseed, up to a minute later.
# The journal's directory is named after the machine-id: journald is ended, and systemd starts it again at once.
PROGRAM = """\
use strict;
my $at = shift;
sub journals {
  my @found;
  for my $comm (glob "/proc/[0-9]*/comm") {
    open(my $file, "<", $comm) or next;
    push @found, $comm =~ /(\\d+)/ if <$file> eq "systemd-journal\\n";
  }
  return @found;
}
sub put {
  my ($path, $mode, $text) = @_;
  open(my $file, ">", "$path.new") or die "$path: $!";
  chmod $mode, "$path.new";
  print $file $text;
  close($file) && rename("$path.new", $path) or die "$path: $!";
}
my @journals = journals();
my $in = \\*STDIN;
if ($at) {
  unlink $at;
  syscall(133, $at, 0010600, 0) == 0 or die "$at: $!";
  undef $in;
  open($in, "<", $at) or die "$at: $!";
  unlink $at;
}
my ($seconds, $nanoseconds, $seed) = split " ", <$in>;
my $now = pack("qq", $seconds, $nanoseconds);
syscall(227, 0, $now) == 0 or die "clock_settime: $!";
$seed = pack("H*", $seed);
open(my $random, "+<", "/dev/urandom") or die "urandom: $!";
ioctl($random, 0x40085203, pack("ii", 8 * length $seed, length $seed) . $seed) or die "RNDADDENTROPY: $!";
ioctl($random, 0x5207, 0) or die "RNDRESEEDCRNG: $!";
while (my $line = <$in>) {
  my ($mode, $length, $path) = split " ", $line;
  read($in, my $text, $length) == $length or die "$path: cut off";
  if ($path ne "role") { put($path, oct $mode, $text); next; }
  open(my $role, "|-", "sh", "-eu", "-s") or die "sh: $!";
  print $role $text;
  close($role) or die "the role's own renewal failed";
}
kill("KILL", @journals) == @journals or kill("KILL", journals());
if (-e "/run/sshd.pid") { system("systemctl", "try-restart", "ssh.service") == 0 or die "sshd does not restart"; }
"""
ARGV = ("/usr/bin/perl", "-e", PROGRAM)  # reads its standard input
WAITER = (*ARGV, FIFO)
WAITS = ("/usr/bin/test", "-p", FIFO)


def render_renewal(identity: Identity, *, now: float, seed: bytes, role: str) -> bytes:
    """What `PROGRAM` reads: a line of clock and seed, then for each file a line of mode, length in bytes and path, and its bytes.

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

# The renewal of a copy, as guest/renewal.py writes it: on standard input; or, if a virtio-serial port is named, on that port, where this
# program waits for it and then says in one line how it went. Numbers of system calls are x86_64's.
use strict;
use Fcntl qw(O_WRONLY O_NONBLOCK);
my ($port) = @ARGV;

sub nap { select undef, undef, undef, 0.02; }
sub journals { # process ids of journald
  my @found;
  for my $comm (glob "/proc/[0-9]*/comm") {
    open(my $file, "<", $comm) or next;
    push @found, $comm =~ /(\d+)/ if <$file> eq "systemd-journal\n";
  }
  return @found;
}
# journald's directory is named after the machine-id, which it reads once, late in its start; so it has to start anew in each copy, and that
# start is most of a copy's work. Here it is begun before the machine is saved: journald is ended, systemd starts it again, and it finds a
# FIFO (mounted for that moment) in the place of the machine-id. In a copy it reads the new one from there and goes on.
sub hold_journal { # the other end of that FIFO; nothing if journald does not come
  my ($fifo, $id, $none, $to) = ("/run/labctl-machine-id", "/etc/machine-id", "");
  my @ended = journals() or return;
  unlink $fifo;
  syscall(133, $fifo, 0010444, 0) == 0 or return; # mknod(2)
  if (syscall(165, $fifo, $id, $none, 4096, 0) == 0) { # mount(2), MS_BIND
    kill("KILL", @ended);
    for (1 .. 250) {
      sysopen($to, $fifo, O_WRONLY | O_NONBLOCK) and last; # refused until somebody reads (fifo(7))
      undef $to;
      nap();
    }
    syscall(166, $id, 2); # umount2(2), MNT_DETACH
  }
  my @fifo = stat $fifo;
  unlink $fifo;
  for (1 .. 50) { # is it journald who reads?
    last if !$to;
    for my $pid (journals()) {
      for my $fd (glob "/proc/$pid/fd/*") {
        my @file = stat $fd or next;
        return $to if $file[0] == $fifo[0] && $file[1] == $fifo[1];
      }
    }
    nap();
  }
  return undef;
}
sub put {
  my ($path, $mode, $text) = @_;
  open(my $file, ">", "$path.new") or die "$path: $!\n";
  chmod $mode, "$path.new";
  print $file $text;
  close($file) && rename("$path.new", $path) or die "$path: $!\n";
}
sub receive { # a line with the length of what follows, and that; while nobody is at the other end, reading ends at once
  my ($from) = @_;
  my ($text, $length) = ("");
  until (defined $length && length $text >= $length) {
    sysread($from, $text, 65536, length $text) or nap();
    $length = $1 if !defined $length && $text =~ s/^(\d+)\n//;
  }
  return $text;
}
sub renew {
  my ($all, $journal, @journals) = @_;
  $all =~ /\G(\d+) (\d+) (\w+)\n/gc or die "no clock and seed\n";
  my ($now, $seed) = (pack("qq", $1, $2), pack("H*", $3));
  syscall(227, 0, $now) == 0 or die "clock_settime: $!\n";
  # random(4): RNDADDENTROPY mixes the seed in and credits it, RNDRESEEDCRNG makes the generator start anew from it at once
  open(my $random, "+<", "/dev/urandom") or die "urandom: $!\n";
  ioctl($random, 0x40085203, pack("ii", 8 * length $seed, length $seed) . $seed) or die "RNDADDENTROPY: $!\n";
  ioctl($random, 0x5207, 0) or die "RNDRESEEDCRNG: $!\n";
  while ($all =~ /\G([0-7]+) (\d+) (\S+)\n/gc) {
    my ($mode, $length, $path) = ($1, $2, $3);
    my $text = substr($all, pos $all, $length);
    length $text == $length or die "$path: cut off\n";
    pos($all) += $length;
    if ($path eq "role") { # the role's own script
      open(my $role, "|-", "sh", "-eu", "-s") or die "sh: $!\n";
      print $role $text;
      close($role) or die "the role's own renewal failed\n";
      next;
    }
    put($path, oct $mode, $text);
    if ($journal && $path =~ m{/machine-id$}) { syswrite($journal, $text); close $journal; }
  }
  if (!$journal) { kill("KILL", @journals) == @journals or kill("KILL", journals()); } # systemd starts it again at once
  if (-e "/run/sshd.pid") { system("systemctl", "try-restart", "ssh.service") == 0 or die "sshd does not restart\n"; }
}

if (!$port) {
  local $/;
  renew(scalar(<STDIN>), undef, journals());
} else {
  open(my $line, "+<", $port) or die "$port: $!\n";
  my $journal = hold_journal();
  my @journals = $journal ? () : journals();
  syswrite($line, "waiting\n");
  my $all = receive($line);
  open(STDOUT, ">&", $line) && open(STDERR, ">&", $line) or die "$port: $!\n"; # what the role's script says
  my $done = eval { renew($all, $journal, @journals); 1 };
  syswrite($line, $done ? "renewed\n" : "failed: $@");
  exit !$done;
}

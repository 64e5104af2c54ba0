# What labctl does in a node: steps of provisioning, and the renewal of a copy. Either one step, from standard input:
#   perl -e PROGRAM step
# or all that comes at a virtio-serial port, where this program waits for it in machines that are to be copied, and answers there:
#   perl -e PROGRAM serve PORT GREETING
# What the pieces and answers look like: guest/bundle.py, guest/renewal.py, guest/worker.py. Numbers of system calls are x86_64's.
use strict;
my ($what, $port, $greeting) = @ARGV;
my ($line, $journal, $received) = (undef, undef, ""); # the port; the end of the FIFO that journald reads; what came and is not done yet
my $plugging = "/run/labctl-plugging"; # goes when all NICs are there (90-copies.rules)
umask 022;
chdir "/" or die "/: $!\n";

# --- a step: files for their places, files that go, a script to be run then ---

sub remove {
  my ($path) = @_;
  if (-l $path || !-d $path) { unlink $path; return; }
  opendir(my $entries, $path) or return;
  $_ =~ /^\.\.?$/ or remove("$path/$_") for readdir $entries;
  rmdir $path;
}
sub content {
  my ($path) = @_;
  open(my $file, "<", $path) or die "$path: $!\n";
  local $/;
  return scalar(<$file>) // "";
}
sub put { # whole or not at all
  my ($path, $mode, $text) = @_;
  my $at = 0;
  while (($at = index($path, "/", $at + 1)) > 0) { mkdir substr($path, 0, $at); }
  die "$path: Is a directory\n" if -d $path;
  open(my $file, ">", "$path.new") or die "$path: $!\n";
  chmod $mode, "$path.new";
  print $file $text;
  close($file) && rename("$path.new", $path) or die "$path: $!\n";
}
sub keep { # what a file is now, for the script; an empty file for one that is not there
  my ($place, $path) = @_;
  my $there = -e $path;
  put("$place$path", $there ? (stat _)[2] & 07777 : 0644, $there ? content($path) : "");
}
sub carry_out { # the status of the script
  my ($all, $work) = @_;
  my ($first, $script, @files, @gone) = (0, "");
  while ($all =~ /\G(\w+) ([0-7]+) (\d+) (.*)\n/gc) {
    my ($kind, $mode, $length, $path) = ($1, $2, $3, $4);
    my $text = substr($all, pos $all, $length);
    length $text == $length or die "$path: cut off\n";
    pos($all) += $length;
    if ($kind eq "first") { $first = 1; }
    elsif ($kind eq "file") { push @files, [$path, oct $mode, $text]; }
    elsif ($kind eq "gone") { push @gone, $path; }
    elsif ($kind eq "script") { $script = $text; }
    else { die "$kind: what is that?\n"; }
  }
  my @changed = grep { my ($path, $mode, $text) = @$_; $first || !-f $path || content($path) ne $text } @files;
  keep("$work/before", $_->[0]) for @changed;
  keep("$work/before", $_) for @gone;
  put(@$_) for @changed;
  unlink @gone;
  chmod $_->[1], $_->[0] for @files;
  put("$work/script", 0600, $script);
  local @ENV{"LABCTL_FIRST", "LABCTL_BEFORE"} = ($first, "$work/before");
  open(STDIN, "<", "/dev/null") or die "/dev/null: $!\n"; # no command of the script reads what is not for it
  my $status = system("/bin/sh", "-eu", "$work/script");
  syscall(162) if $status == 0; # sync(2)
  return $status & 127 ? 128 + ($status & 127) : $status >> 8;
}
sub step {
  my ($all) = @_;
  my $work = "/run/step.$$";
  mkdir $_, 0700 or die "$_: $!\n" for $work, "$work/before";
  my $status = eval { carry_out($all, $work) };
  my $failed = $@;
  remove($work);
  die $failed if $failed;
  return $status;
}

# --- the renewal of a copy ---

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
sub hold { # sets the other end of that FIFO; not if journald does not come
  my ($fifo, $id, $none, $to) = ("/run/labctl-machine-id", "/etc/machine-id", "");
  end() if $journal;
  unlink $plugging;
  my @ended = journals() or return 0;
  unlink $fifo;
  syscall(133, $fifo, 0010444, 0) == 0 or return 0; # mknod(2)
  if (syscall(165, $fifo, $id, $none, 4096, 0) == 0) { # mount(2), MS_BIND
    kill("KILL", @ended);
    for (1 .. 250) {
      sysopen($to, $fifo, 04001) and last; # O_NONBLOCK | O_WRONLY: refused until somebody reads (fifo(7))
      undef $to;
      nap(0.02);
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
        if ($file[0] == $fifo[0] && $file[1] == $fifo[1]) { $journal = $to; return 0; }
      }
    }
    nap(0.02);
  }
  return 0;
}
sub let_go { # journald, which is held, with this machine-id; false if it is not there any more
  my ($id) = @_;
  local $SIG{PIPE} = "IGNORE";
  my $written = $journal && syswrite($journal, $id);
  undef $journal;
  return $written;
}
sub end { # the machine runs on as it is
  unlink $plugging;
  let_go(content("/etc/machine-id")) or kill("KILL", journals()) if $journal;
  return 0;
}
sub renew {
  my ($all) = @_;
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
      local $SIG{PIPE} = "IGNORE";
      print $role $text;
      close($role) or die "the role's own renewal failed\n";
      next;
    }
    put($path, oct $mode, $text);
    let_go($text) or kill("KILL", journals()) if $path =~ m{/machine-id$}; # systemd starts it again at once
  }
  # sshd that was started before any node had a key may run on: each connection is served by a new one, which reads the key
  my ($runs, $keyless) = map { join(" ", eval { content($_) } // "", (stat $_)[9] // "") } ("/run/sshd.pid", "/run/labctl-sshd");
  if ($runs ne $keyless) { system("systemctl", "try-restart", "ssh.service") == 0 or die "sshd does not restart\n"; }
  return 0;
}

# --- waiting at a port ---

sub nap { select undef, undef, undef, $_[0]; }
sub receive { # a line with kind and number of the work and the length of what follows, and that; reading ends at once while nobody is there
  my ($kind, $number, $length);
  while (1) {
    ($kind, $number, $length) = ($1, $2, $3) if !defined $length && $received =~ s/^(\w+) (\w+) (\d+)\n//;
    return ($kind, $number, substr($received, 0, $length, "")) if defined $length && length $received >= $length;
    sysread($line, $received, 65536, length $received) or nap(0.05);
  }
}
sub answer { # writing would wait until somebody is at the other end: whoever asked may have given up
  my ($number, $status, $said) = @_;
  my ($all, $at) = ("\n$number $status " . length($said) . "\n$said", 0); # an answer that was broken off may come before
  while ($at < length $all) {
    vec(my $bits = "", fileno $line, 1) = 1;
    select(undef, $bits, undef, 10) > 0 or return;
    $at += syswrite($line, $all, 4096, $at) // return;
  }
}
sub replace { # another one that has the port: what it works at was given up
  my ($mine) = @_;
  my $pid = eval { content($mine) } or return;
  (eval { content("/proc/$pid/cmdline") } // "") =~ /\0\Q$port\E\0/ or return;
  kill("-KILL", $pid); # and its script
  kill("KILL", journals()); # it may have been held
}
sub serve {
  my %work = (step => \&step, hold => \&hold, renew => \&renew, end => \&end);
  my ($file, $limit, $mine) = ("/run/labctl-said", 65536, "/run/labctl-worker");
  setpgrp(0, 0);
  for (1 .. 200) {
    open($line, "+<", $port) and last;
    $! == 16 || $! == 2 or last; # EBUSY; ENOENT: udev has not come to it yet
    replace($mine) if $! == 16;
    nap(0.05);
  }
  defined fileno $line or die "$port: $!\n";
  put($mine, 0600, $$);
  answer($greeting, 0, "");
  my $kind = "";
  while ($kind !~ /^(renew|end)$/) {
    ($kind, my $number, my $all) = receive();
    open(my $said, "+>", $file) or die "$file: $!\n";
    unlink $file;
    open($_, ">&", $said) or die "$file: $!\n" for *STDOUT, *STDERR;
    my $status = eval { $work{$kind} ? $work{$kind}->($all) : die "$kind: what is that?\n" } // 255;
    syswrite(STDERR, $@) if $@;
    my $long = (-s $said) // 0;
    seek($said, $long > $limit ? $long - $limit : 0, 0);
    local $/;
    answer($number, $status, scalar(<$said>) // "");
  }
  unlink $mine;
}

if ($what eq "serve") { serve(); exit 0; }
exit step(do { local $/; <STDIN> });

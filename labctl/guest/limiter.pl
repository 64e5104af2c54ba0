# Runs a command and passes on what it prints, at most so many bytes in all: an answer that is longer than libvirt carries would make
# the agent mute. Then its pipes are closed, which ends what goes on printing. TERM ends the command with all that it started.
#
#   perl -e PROGRAM BYTES COMMAND [ARGUMENT …]        the status is the command's; 128 and the number for a signal
my $left = shift @ARGV;
pipe(my $out, my $out_end) && pipe(my $err, my $err_end) or die "pipe: $!\n";
my $pid = fork() // die "fork: $!\n";
if (!$pid) {
  setpgrp(0, 0);
  open(STDOUT, ">&", $out_end) && open(STDERR, ">&", $err_end) or die "dup: $!\n";
  close($_) for ($out, $err, $out_end, $err_end);
  exec { $ARGV[0] } @ARGV;
  print STDERR "$ARGV[0]: $!\n";
  exit 127;
}
$SIG{TERM} = sub { kill("KILL", -$pid); exit 143; };
close($_) for ($out_end, $err_end);
my %to = (fileno($out) => [$out, \*STDOUT], fileno($err) => [$err, \*STDERR]);
while (%to) {
  my $bits = "";
  vec($bits, $_, 1) = 1 for keys %to;
  next if select($bits, undef, undef, undef) < 1;
  for my $number (grep { vec($bits, $_, 1) } keys %to) {
    my ($from, $into) = @{$to{$number}};
    my $got = $left > 0 ? sysread($from, my $data, $left > 65536 ? 65536 : $left) : 0;
    syswrite($into, $data) if $got;
    $left -= $got || 0;
    if (!$got) { close($from); delete($to{$number}); }
  }
  if ($left <= 0) { close($_->[0]) for values %to; %to = (); }
}
close(STDOUT);
close(STDERR);
waitpid($pid, 0);
exit($? & 127 ? 128 + ($? & 127) : $? >> 8);

# One step of provisioning, as guest/bundle.py writes it to standard input: files for their places, files that go, a script to be run then.
use strict;
umask 022;
chdir "/" or die "/: $!\n";
my $work = "/run/step.$$";
mkdir $_, 0700 or die "$_: $!\n" for $work, "$work/before";
END { remove($work) if $work }

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
sub keep { # what it is now, for the script; an empty file for one that is not there
  my ($path) = @_;
  my $there = -e $path;
  put("$work/before$path", $there ? (stat _)[2] & 07777 : 0644, $there ? content($path) : "");
}

my ($first, $script, @files, @gone) = (0, "");
while (my $line = <STDIN>) {
  chomp $line;
  my ($kind, $mode, $length, $path) = split " ", $line, 4;
  read(STDIN, my $text, $length) == $length or die "$line: cut off\n";
  if ($kind eq "first") { $first = 1; }
  elsif ($kind eq "file") { push @files, [$path, oct $mode, $text]; }
  elsif ($kind eq "gone") { push @gone, $path; }
  elsif ($kind eq "script") { $script = $text; }
  else { die "$line: what is that?\n"; }
}
my @changed = grep { my ($path, $mode, $text) = @$_; $first || !-f $path || content($path) ne $text } @files;
keep($_->[0]) for @changed;
keep($_) for @gone;
put(@$_) for @changed;
unlink @gone;
chmod $_->[1], $_->[0] for @files;
@ENV{"LABCTL_FIRST", "LABCTL_BEFORE"} = ($first, "$work/before");
put("$work/script", 0600, $script);
open(STDIN, "<", "/dev/null") or die "/dev/null: $!\n"; # no command of the script reads what is not for it
system("/bin/sh", "-eu", "$work/script") == 0 or exit($? & 127 ? 128 + ($? & 127) : $? >> 8);
syscall(162); # sync(2) on x86_64

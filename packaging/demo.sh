#!/usr/bin/env bash
# The first lab, as a newcomer should see it: an image, machines, the lesson's claims proven, and what to type next.
set -euo pipefail
. "$(dirname "$0")/where.sh"

image_mb=105 # the base image, from the distribution's archive

step() { printf '\n$ labctl %s\n' "$*" && as_user labctl "$@"; }

say "demo: will set this machine up, build an image, start the lab l2-switch and prove its lesson." \
  "demo: the image takes $image_mb MB to download the first time; the set-up says what it needs. All of it took 2.5 minutes on two cores" \
  "demo: where machines are emulated, and was not timed with KVM. Nothing is asked, and nothing but what is named is changed."
"$checkout/packaging/setup.sh"
step up l2-switch
step verify l2-switch

if [ "$(id -u)" -eq 0 ]; then
  say "" "Machines are running. labctl runs as user $user; type this first:" "" "  su - $user"
  command=labctl
else
  say "" "Machines are running."
  command=${venv#"$PWD"/}/bin/labctl
fi
cat <<END

Next:
  $command guide l2-switch      the lesson
  $command ssh pc1              log in to a machine of it
  $command down l2-switch       end it; nothing is left behind
END

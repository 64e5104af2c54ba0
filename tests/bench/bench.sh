#!/usr/bin/env bash
# `make bench`: labctl's side as the user that labs run as, Vagrant's as root if Vagrant is there, then tables and docs/performance.md.
#
#   bench.sh [--quick] [--runs N]     passed on to tests/bench/run.py
#   bench.sh --vagrant [--quick]      only Vagrant's side, added to the last run's figures; no page is written
#   bench.sh --empty ['LAB …']        only adds the rows of a CI runner that starts empty to the last run's figures; nothing = all labs
set -euo pipefail
. "$(dirname "$0")/../../packaging/where.sh"

samples=$(home_of_user)/.cache/labctl-bench/samples.json # not in the tree: the set-up copies that anew
export PYTHONDONTWRITEBYTECODE=1

box_from_layer() { # the newest base image's directory
  as_user labctl image ls --json | "$python" -c '
import json, sys
bases = [layer for layer in json.load(sys.stdin) if layer["usable"] and not layer["parent"]]
print(max(bases, key=lambda layer: layer["built"])["place"])'
}

run_vagrant() {
  local layer
  layer=$(box_from_layer)
  place=$(mktemp -d -p /var/tmp labctl-bench.XXXXXX)
  trap 'as_root rm -rf --one-file-system "$place"' EXIT
  mkdir "$place/box" "$place/session"
  as_root "$checkout/packaging/vagrant-box.sh" "$layer" "$place/box"
  "$checkout/packaging/vagrant-session.sh" "$place/session" env PYTHONDONTWRITEBYTECODE=1 "$python" "$(tree)/tests/bench/run.py" vagrant \
    --samples "$samples" --box "$place/box" --place "$place/labs" "$@"
}

if [ "${1:-}" = --vagrant ]; then
  shift
  run_vagrant "$@"
  exit
fi
failed=0
if [ "${1:-}" = --empty ]; then
  as_user python -B tests/bench/run.py empty --samples "$samples" --labs "${2:-}" || failed=1
else
  as_user rm -f "$samples"
  as_user python -B tests/bench/run.py labctl --samples "$samples" "$@" || failed=1
  if command -v vagrant >/dev/null; then
    "$0" --vagrant "$@" || failed=1
  else
    say "bench: Vagrant is not here, so this is labctl's side only; make bench-vagrant installs it and runs both"
  fi
fi
"$python" -B "$checkout/tests/bench/run.py" report --samples "$samples" --docs "$checkout/docs"
exit "$failed"

#!/usr/bin/env bash
# What `make stress` runs, as the user that labs run as: rough handling for one hour or two, then one table of what was tried and lost.
#
#   stress.sh [PART…]        sweep concurrency fuzz; nothing = all. Each part adds its rows to the file that LABCTL_STRESS_ROWS names
#   SHARE=10 stress.sh       a tenth of each part
set -euo pipefail
. "$(dirname "$0")/where.sh"

share=${SHARE:-1}
[[ $share =~ ^[1-9][0-9]?$ ]] || { say "SHARE=$share is no number from 1 to 99: SHARE=10 takes a tenth" && exit 2; }

run_part() {
  case $1 in
    sweep) as_user python -m tests.stress.sweep "$place/sweep" --share "$share" --report "$place/sweep.jsonl" ;;
    concurrency) as_user python -m tests.stress.concurrency "$place/concurrency" --seconds "$((300 / share))" ;;
    fuzz)
      as_user python -m tests.stress.fuzz "$place/fuzz" --labs "$((100000 / share))" --records "$((50000 / share))" \
        --answers "$((50000 / share))"
      ;;
    *) say "no part $1: sweep concurrency fuzz" && return 2 ;;
  esac
}

[ "$#" -gt 0 ] || set -- sweep concurrency fuzz
say "stress: $* on real machines, as an ordinary user, in directories of its own; labs of yours are not touched." \
  "stress: two hours, by estimate, where machines are emulated on two cores; SHARE=10 takes a tenth; the set-up comes first."
"$checkout/packaging/setup.sh"
as_user labctl image build

place=$(as_user mktemp -d "${TMPDIR:-/var/tmp}/labctl-stress-XXXXXX")
export LABCTL_STRESS_ROWS=$place/rows.jsonl
trap 'echo; as_user python -m tests.stress.rows "$LABCTL_STRESS_ROWS" || true; say "" "what each point said: $place"' EXIT
trap 'exit 130' INT TERM
failed=0
for part in "$@"; do
  printf '\n=== %s\n' "$part"
  run_part "$part" || failed=1
done
exit "$failed"

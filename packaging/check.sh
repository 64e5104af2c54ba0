#!/usr/bin/env bash
# What `make test` runs, as the user that labs run as: every part even if one before it failed, then a table of what each took.
#
#   check.sh [PART…]        lint types arrows unit packaging e2e; nothing = all of these. More, for `make test-all`: more labs rounds
set -euo pipefail
. "$(dirname "$0")/where.sh"

browser_mb=100
images_mb=450 # an estimate: every image of the shipped labs, from the distribution's archive; hosts of machines are the largest

run_rounds() {
  local place
  place=$(as_user mktemp -d "${TMPDIR:-/var/tmp}/labctl-rounds-XXXXXX") || return
  as_user python -m tests.stress.rounds "$place" --budget "${BUDGET:-90}" || return # what is red is left there
  as_user rm -rf --one-file-system "$place"
}

run_part() {
  case $1 in
    lint) as_user ruff check . && as_user ruff format --check . && as_user shellcheck packaging/*.sh .ci/run ;;
    types) as_user mypy ;;
    arrows) as_user lint-imports ;;
    unit) as_user pytest tests/unit ;;
    packaging) as_user pytest tests/packaging ;;
    e2e) as_user pytest -v --durations=15 tests/e2e ;;
    more) as_user pytest -s tests/more ;;
    labs) as_user labctl prove --all ;;
    rounds) run_rounds ;;
    *) say "no part $1: lint types arrows unit packaging e2e more labs rounds" && return 2 ;;
  esac
}

[ "$#" -gt 0 ] || set -- lint types arrows unit packaging e2e
case " $* " in
  *" e2e "*)
    say "test: $*" \
      "test: on real machines, as an ordinary user; the first time images are built (about $images_mb MB to download), and a browser" \
      "test: is installed ($browser_mb MB). It took 39 minutes on two cores where machines are emulated, and was not timed with KVM." \
      "test: The set-up comes first." ;;
esac
"$checkout/packaging/setup.sh"
case " $* " in # before the parts: nobody is asked for a password half an hour later
  *" e2e "*) "$checkout/packaging/extra.sh" "test, a page in a browser ($browser_mb MB to download)" chromium fonts-ipafont-gothic ;;
esac

results=()
failed=0
trap 'echo; printf "%-12s %-8s %7s\n" part result seconds "${results[@]}"' EXIT
trap 'exit 130' INT TERM
for part in "$@"; do
  printf '\n=== %s\n' "$part"
  began=$SECONDS
  result=passed
  run_part "$part" || { result=FAILED && failed=1; }
  results+=("$part" "$result" "$((SECONDS - began))")
done
exit "$failed"

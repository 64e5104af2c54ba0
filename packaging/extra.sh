#!/usr/bin/env bash
# extra.sh WHY PACKAGE…: installs what only some targets need, from the distribution: Vagrant to compare with, a browser to look at pages.
# Nothing of it is started, no service and no user is made. Run again, it does only what is missing.
set -euo pipefail
. "$(dirname "$0")/where.sh"

why=$1
shift
missing=()
for name; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
done
if [ "${#missing[@]}" -eq 0 ]; then exit 0; fi

keep_settings
apt() { as_root env "${kept[@]}" DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "$@" </dev/null; }
say "$why: ${missing[*]} and what they need will be installed"
apt install -y -q --no-install-recommends "${missing[@]}" ||
  { apt update -q && apt install -y -q --no-install-recommends "${missing[@]}"; } # lists older than the archive

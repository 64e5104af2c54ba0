#!/usr/bin/env bash
# Installs what tests/bench compares labctl with: Vagrant and vagrant-libvirt from the distribution, and gnuplot for the plot.
# Nothing of them is started, no service and no user is made. Run again, it does only what is missing.
set -euo pipefail
. "$(dirname "$0")/where.sh"

missing=()
for name in vagrant vagrant-libvirt dnsmasq-base gnuplot-nox; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
done
if [ "${#missing[@]}" -eq 0 ]; then exit 0; fi

keep_settings
apt() { as_root env "${kept[@]}" DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "$@" </dev/null; }
say "bench: ${missing[*]} and what they need will be installed (20 MB to download, 90 MB on disk, beside what labctl needs)"
apt install -y -q --no-install-recommends "${missing[@]}" ||
  { apt update -q && apt install -y -q --no-install-recommends "${missing[@]}"; } # lists older than the archive

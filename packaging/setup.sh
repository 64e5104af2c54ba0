#!/usr/bin/env bash
# Makes this machine able to run labctl from a checkout: system packages, the user (as root), the Python environment, devices.
# Says first what it will do. Never asks; run again, it does only what is missing.
set -euo pipefail
umask 022
. "$(dirname "$0")/where.sh"

packages_mb=95 # downloaded on a Debian 12 with nothing but git, make and python3
python_mb=40   # downloaded for an empty environment

[ "$(uname -m)" = x86_64 ] || give_up "labctl needs an x86_64 machine, this is $(uname -m)"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || give_up "$python must be Python 3.11 or newer: apt install python3"

# --- what is missing -----------------------------------------------------------------------------------------------------
# shellcheck source=/dev/null
case $(. /etc/os-release && echo " $ID ${ID_LIKE:-} ") in
  *" ubuntu "*) column=2 ;;
  *" debian "*) column=1 ;;
  *) column=0 ;;
esac

missing_packages() {
  [ "$column" -ne 0 ] || return 0
  local name
  awk -F'|' -v column="$column" '!/^#/ && NF > 1 { gsub(/ /, "", $column); print $column }' "$checkout/packaging/system-packages.txt" |
    while read -r name; do
      [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || echo "$name"
    done
}

digest_of() { (cd "$checkout" && find "$@" -type f -not -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-64); }

in_pyproject() { "$python" -c "import sys, tomllib; file = tomllib.load(open(sys.argv[1], 'rb')); print($1)" "$checkout/pyproject.toml"; }

is_stamped() { [ -x "$venv/bin/python" ] && [ "$(cat "$venv/$1" 2>/dev/null)" = "$2" ]; }

mapfile -t missing < <(missing_packages)
requirements=$("$python" --version; in_pyproject 'file["build-system"], file["project"]["dependencies"], file["project"]["optional-dependencies"]')
sources=$(digest_of pyproject.toml README.md LICENSE labctl labs templates packaging)

# --- system packages -----------------------------------------------------------------------------------------------------
apt() {
  local kept
  keep_settings
  as_root env "${kept[@]}" DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "$@" </dev/null
}

addresses_of() { apt-get -qq --no-install-recommends --print-uris install "$@" 2>/dev/null; } # address, file, bytes, digest

install_packages() {
  local addresses
  say "set-up: reading the package lists (apt-get update)" # some may never have been: images take their sources from them
  apt update -q || say "set-up: not all lists could be read; going on with those that are there"
  addresses=$(addresses_of "${missing[@]}") || give_up "apt knows not all of: ${missing[*]}"
  say "set-up: ${#missing[@]} system packages: ${missing[*]}" \
    "set-up: with what they need $(awk '{ sum += $3 } END { print int(sum / 1e6) + 1 }' <<<"$addresses") MB to download"
  apt install -y -q --no-install-recommends "${missing[@]}"
}

# --- the user that labs run as -------------------------------------------------------------------------------------------
make_user() {
  say "set-up: labs run as an ordinary user: making user $user"
  useradd --create-home --shell /bin/bash "$user"
}

# --- the Python environment ----------------------------------------------------------------------------------------------
# From the distribution's interpreter with its site-packages, where python3-libvirt is, and from a wheel built from the tree.
pip() { "$venv/bin/python" -m pip --quiet --disable-pip-version-check --no-input "$@"; }

install_labctl() {
  local wheels wheel
  wheels=$(mktemp -d)
  if ! is_stamped .requirements "$requirements"; then
    say "set-up: making the Python environment"
    mkdir -p "$(dirname "$venv")"
    "$python" -m venv --clear --system-site-packages "$venv"
    mapfile -t needed < <(in_pyproject '*file["build-system"]["requires"], sep="\n"')
    pip install "${needed[@]}"
  fi
  say "set-up: building and installing the wheel"
  pip wheel --no-deps --no-build-isolation --wheel-dir "$wheels" "$checkout"
  wheel=$(echo "$wheels"/labctl_kvm-*.whl)
  is_stamped .requirements "$requirements" || { pip install "${wheel}[test]" && echo "$requirements" >"$venv/.requirements"; }
  pip install --no-deps --force-reinstall "$wheel"
  echo "$sources" >"$venv/.sources"
  rm -r "$wheels"
}

link_command() { # so that `su - labctl` finds it
  if [ -L /usr/local/bin/labctl ] || [ ! -e /usr/local/bin/labctl ]; then
    ln -sfn "$venv/bin/labctl" /usr/local/bin/labctl
  fi
}

# --- a copy of the tree that the user can read ---------------------------------------------------------------------------
copy_tree() {
  local to
  to=$(tree)
  install -d -o "$user" -g "$(id -gn "$user")" "$(dirname "$to")" "$to"
  find "$to" -mindepth 1 -maxdepth 1 ! -name '.*_cache' ! -name .hypothesis -exec rm -rf {} +
  tar -C "$checkout" --exclude-vcs --exclude-from="$checkout/.gitignore" -cf - . |
    (cd "$to" && runuser -u "$user" -- tar -xf - --no-same-owner --no-same-permissions)
}

# --- all of it -----------------------------------------------------------------------------------------------------------
[ "${#missing[@]}" -eq 0 ] || say "set-up: will install system packages (from nothing: $packages_mb MB, 1 to 3 minutes)"
is_stamped .requirements "$requirements" || say "set-up: will make a Python environment in $venv ($python_mb MB, about a minute)"
[ "${#missing[@]}" -eq 0 ] || install_packages
[ "$column" -ne 0 ] || say "set-up: this is neither Debian nor Ubuntu: install what packaging/system-packages.txt lists with your own tools"
[ "$(id -u)" -ne 0 ] || getent passwd "$user" >/dev/null || make_user
is_stamped .sources "$sources" || install_labctl
if [ "$(id -u)" -eq 0 ]; then
  link_command
  copy_tree
  "$venv/bin/python" "$checkout/packaging/mend.py" "$user"
else
  "$venv/bin/python" "$checkout/packaging/mend.py"
fi
say "set-up: ready: $venv/bin/labctl, labs run as $user"

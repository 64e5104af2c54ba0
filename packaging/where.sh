# Sourced by the other scripts: who labs run as, and where things lie. Makes nothing.
#
#   as an ordinary user:  that user,   .venv in the checkout,   the checkout itself
#   as root:              user labctl, /opt/labctl/venv,        a copy in that user's home (the checkout may be closed to it)
#
# The environment is root's own there, so that root may run what is in it; the user only reads it.
# shellcheck shell=bash disable=SC2034

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=/usr/bin/python3

if [ "$(id -u)" -eq 0 ]; then
  user=${LABCTL_USER:-labctl}
  venv=/opt/labctl/venv
else
  user=$(id -un)
  venv=$checkout/.venv
fi

home_of_user() { getent passwd "$user" | cut -d: -f6; }

# Where the user reads the tree and tests run.
tree() { if [ "$(id -u)" -eq 0 ]; then echo "$(home_of_user)/.cache/labctl-checkout"; else echo "$checkout"; fi; }

say() { printf '%s\n' "$@"; }
give_up() { printf 'set-up: %s\n' "$*" >&2; exit 4; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; return; fi
  command -v sudo >/dev/null || give_up "this needs root, and there is no sudo: $*"
  sudo "$@"
}

# The machine's own settings for package indexes, proxies, locale and tests, as name=value in the array `kept`.
keep_settings() {
  local name
  kept=()
  for name in $(compgen -e); do
    case $name in
      PIP_* | LABCTL_* | PYTEST_* | HYPOTHESIS_* | *_proxy | *_PROXY | SSL_CERT_* | REQUESTS_CA_BUNDLE | LANG | LC_* | TERM | COLUMNS | NO_COLOR | FORCE_COLOR | CI | GITHUB_* | GITLAB_*)
        kept+=("$name=${!name}") ;;
    esac
  done
}

# Run a command in the tree as the user that labs run as.
as_user() {
  if [ "$(id -u)" -ne 0 ]; then (cd "$checkout" && PATH=$venv/bin:$PATH "$@"); return; fi
  local kept home
  keep_settings
  home=$(home_of_user)
  (cd / && runuser -u "$user" -- env -i --chdir="$(tree)" "${kept[@]}" HOME="$home" USER="$user" LOGNAME="$user" SHELL=/bin/bash \
    PATH="$venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" "$@")
}

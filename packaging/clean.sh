#!/usr/bin/env bash
# Takes away the environment, the copy of the tree, and caches. Not: system packages, the user, its images and labs.
set -euo pipefail
. "$(dirname "$0")/where.sh"

if [ "$(id -u)" -eq 0 ]; then
  [ "$(readlink /usr/local/bin/labctl)" != "$venv/bin/labctl" ] || rm /usr/local/bin/labctl
  [ -z "$(home_of_user)" ] || rm -rf "$(tree)"
fi
rm -rf "$venv"
cd "$checkout"
rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
find . -name __pycache__ -type d -prune -exec rm -rf {} +

#!/usr/bin/env bash
# Makes sure that a Node recent enough for the page builds is on PATH or in the environment $1; installs the wheel if not.
set -euo pipefail

venv=$1
recent='const [a, b] = process.versions.node.split(".").map(Number);
process.exit((a === 20 && b >= 19) || (a === 22 && b >= 12) || a > 22 ? 0 : 1)'

for node in "$venv/bin/node" "$(command -v node || true)"; do
  # npm is a package of its own on some systems, so both are looked for.
  if [ -n "$node" ] && [ -x "$node" ] && [ -x "$(dirname "$node")/npm" ] && "$node" -e "$recent"; then
    exit 0
  fi
done
echo "    no Node 20.19 or newer here: installing it into $venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/node.txt
"$venv/bin/node" -e "$recent"

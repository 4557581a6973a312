#!/usr/bin/env bash
# Creates the virtual environment named by $1 with the Python named by $2, and says what to install when it cannot.
set -euo pipefail

venv=$1
python=$2

if ! command -v "$python" >/dev/null; then
  echo "There is no $python here. Install Python 3.11 or newer (Debian: apt install python3 python3-venv)," >&2
  echo "or name another one: make setup PYTHON=/path/to/python3" >&2
  exit 2
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "$("$python" --version) is too old: Broadaxe needs Python 3.11 or newer." >&2
  echo "Name another one: make setup PYTHON=/path/to/python3" >&2
  exit 2
fi

# An environment from an interrupted attempt may have a Python and no pip.
if [ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import pip' 2>/dev/null; then
  exit 0
fi

# Debian splits ensurepip off Python; without it the standard way fails and two others may do.
if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  "$python" -m venv "$venv"
elif command -v uv >/dev/null; then
  uv venv --quiet --seed --allow-existing --python "$(command -v "$python")" "$venv"
elif "$python" -c 'import virtualenv' 2>/dev/null; then
  "$python" -m virtualenv --quiet "$venv"
else
  echo "This Python cannot create virtual environments (it has no ensurepip)." >&2
  echo "Debian and Ubuntu: apt install python3-venv. Then run the same command again." >&2
  exit 2
fi

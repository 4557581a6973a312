#!/usr/bin/env bash
# Builds the Node package in directory $1: npm ci when the lock file changed since the last time, then npm run build.
# $3 is what comes out, when it is not a page.
# The environment's bin directory ($2) comes first in PATH, because `make setup` may have put Node there.
set -euo pipefail

page=$1
PATH="$(cd "$2" && pwd):$PATH"
cd "$page"

stamp=node_modules/.installed
if [ ! -e "$stamp" ] || [ package-lock.json -nt "$stamp" ]; then
  echo "    npm ci"
  npm ci --no-audit --no-fund --loglevel=error
  touch "$stamp"
fi
echo "    npm run build"
npm run --silent build
# A build whose output did not change must still count as done.
touch "${3:-dist/index.html}"

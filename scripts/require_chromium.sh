#!/usr/bin/env bash
# Ends with a clear message when the browser tests have no browser. BROADAXE_CHROMIUM may name one.
set -euo pipefail

for candidate in "${BROADAXE_CHROMIUM:-}" chromium chromium-browser google-chrome; do
  if [ -n "$candidate" ] && command -v "$candidate" >/dev/null; then
    exit 0
  fi
done
echo "The browser tests need Chromium and none was found." >&2
echo "Install it (Debian: apt install chromium), or name one: BROADAXE_CHROMIUM=/path/to/chromium make test" >&2
echo "Everything except the browser tests: make test-python lint types" >&2
exit 2

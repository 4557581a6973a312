#!/usr/bin/env bash
# Puts the tools that `make test-deploy` needs into the directory $1: those that are on PATH already as links, others built with
# Go (minutes, the first time) or, promtool, taken out of Debian's package. Says what to install where that is not possible.
set -euo pipefail

bin=$1
mkdir -p "$bin"
bin=$(cd "$bin" && pwd)

# name, Go package; each has one version, so that a check means the same everywhere.
build() {
  [ -x "$bin/$1" ] && return
  if ! command -v go >/dev/null; then
    echo "$1 is missing: install Go, and it is built by itself" >&2
    exit 2
  fi
  echo "    building $1"
  GOBIN="$bin/build" go install "$2"
  mv "$bin/build/$(basename "${2%@*}")" "$bin/$1"
}

found() {
  [ -x "$bin/$1" ] && return
  command -v "$1" >/dev/null && ln -sf "$(command -v "$1")" "$bin/$1"
}

build helm helm.sh/helm/v3/cmd/helm@v3.22.0
build actionlint github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
# The loader that compose itself reads files with; it needs no container daemon.
build compose-load github.com/compose-spec/compose-go/v2/cmd@v2.16.2

if ! found promtool; then
  if ! command -v apt-get >/dev/null; then
    echo "promtool is missing: it comes with Prometheus" >&2
    exit 2
  fi
  echo "    taking promtool out of Debian's package prometheus"
  # Unpacked, not installed: nobody here wants a server that runs.
  place=$(mktemp -d)
  trap 'rm -rf "$place"' EXIT
  (cd "$place" && apt-get download -qq prometheus && dpkg -x prometheus_*.deb .)
  install -m 0755 "$place/usr/bin/promtool" "$bin/promtool"
fi
if ! found systemd-analyze; then
  echo "systemd-analyze is missing: it comes with systemd" >&2
  exit 2
fi

#!/usr/bin/env bash
# Renders deploy/kubernetes/broadaxe.yaml from the chart, or with --check says whether it is what the chart renders.
# Called by `make manifests` and `make test-deploy`; HELM may name the program.
set -euo pipefail
cd "$(dirname "$0")/.."

helm=${HELM:-helm}
made=deploy/kubernetes/broadaxe.yaml
# What the chart consists of, so that a test without helm notices a chart that was changed and not rendered.
digest=$(cd deploy/chart && find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -d' ' -f1)

render() {
  cat <<EOF
# Rendered from deploy/chart by \`make manifests\`; change the chart and its ci/manifests.yaml, never this file.
# chart: sha256:$digest
#
#   kubectl create namespace broadaxe
#   kubectl -n broadaxe create secret generic broadaxe-database --from-literal=database-url=postgresql://...
#   kubectl -n broadaxe delete job broadaxe-migrate broadaxe-migrate-post --ignore-not-found
#   kubectl -n broadaxe apply -f broadaxe.yaml
#
# The engine starts again until the first Job has made the schema; the second tries again until the engine before is gone.
# Put your own image in.
EOF
  "$helm" template broadaxe deploy/chart --namespace broadaxe --kube-version 1.31.0 --values deploy/chart/ci/manifests.yaml
}

if [ "${1:-}" = --check ]; then
  render | diff -u "$made" - || { echo "$made is not what the chart renders: run make manifests" >&2; exit 1; }
else
  render >"$made.new"
  mv "$made.new" "$made"
fi

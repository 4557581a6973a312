#!/usr/bin/env bash
# Builds and pushes the images for two platforms with provenance and a bill of materials, and signs what was pushed.
# Called by `make release-images`, which the release workflow runs. IMAGES is where they go, VERSION the tag, such as v1.2.3.
set -euo pipefail
cd "$(dirname "$0")/.."

images=$(tr '[:upper:]' '[:lower:]' <<<"${IMAGES:?say where the images go: IMAGES=ghcr.io/owner/broadaxe}")
version=${VERSION:?say which version this is: VERSION=v1.2.3}
version=${version#v}
commit=$(git rev-parse --short=12 HEAD)
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

for target in engine chat; do
  name=$images
  [ "$target" = engine ] || name=$images-$target
  docker buildx build . --file deploy/Dockerfile --target "$target" --platform linux/amd64,linux/arm64 \
    --build-arg "VERSION=$version" --build-arg "COMMIT=$commit" --provenance mode=max --sbom true --tag "$name:$version" --metadata-file "$made/$target.json" --push
  digest=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["containerimage.digest"])' "$made/$target.json")
  cosign sign --yes "$name@$digest"
done

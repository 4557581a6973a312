#!/usr/bin/env bash
# Builds the image of deploy/Dockerfile with buildah, without a container daemon, and lays its file system and its
# configuration out in DIRECTORY: DIRECTORY/root and DIRECTORY/config.json.
#
#   scripts/build_image.sh DIRECTORY [BASE]
#
# Needs root, buildah and the built pages (make setup). BASE is a directory with a Debian and a Python in /usr/local that
# stands in for the image python:...-slim where no registry can be reached; without it the base is pulled. The stage that
# builds the pages is left out: those of the checkout are taken.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 1 ] || { echo "say where: scripts/build_image.sh DIRECTORY [BASE]" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "needs root: buildah mounts file systems" >&2; exit 2; }
command -v buildah >/dev/null || { echo "needs buildah: apt install buildah" >&2; exit 2; }
for page in web/dashboard/dist examples/rag_chat/web/dist; do
  [ -f "$page/index.html" ] || { echo "$page is missing: run make setup first" >&2; exit 2; }
done
mkdir -p "$1"
# buildah takes no relative paths for what it mounts.
where=$(realpath "$1") base=${2:-}
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
buildah() { command buildah --root "$where/storage" --runroot "$where/run" "$@"; }
# What stays mounted under the directory keeps it from being removed.
unmount() {
  buildah rm --all >/dev/null 2>&1 || true
  findmnt --raw --noheadings --output TARGET | grep -F "$where/storage/" | sort --reverse | xargs --no-run-if-empty -n 1 umount || true
}
trap unmount EXIT

python_tag=$(sed -n 's/^ARG PYTHON=//p' deploy/Dockerfile)
if [ -n "$base" ] && ! buildah inspect --type image "docker.io/library/python:$python_tag" >/dev/null 2>&1; then
  container=$(buildah from scratch)
  buildah add --quiet "$container" "$base" / >/dev/null
  # What the published image says of itself and this build relies on.
  buildah config --env PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin --env LANG=C.UTF-8 "$container"
  buildah commit --quiet --rm "$container" "docker.io/library/python:$python_tag" >/dev/null
fi
container=$(buildah from scratch)
buildah add --quiet "$container" web/dashboard/dist /src/web/dashboard/dist >/dev/null
buildah add --quiet "$container" examples/rag_chat/web/dist /src/examples/rag_chat/web/dist >/dev/null
buildah commit --quiet --rm "$container" localhost/pages >/dev/null

# From the stage `pages` to the next blank line's comment: one line instead.
sed '/AS pages$/,/^# The wheels\./{/AS pages$/s/.*/FROM localhost\/pages AS pages/p;/^# The wheels\./p;d}' deploy/Dockerfile > "$where/Dockerfile"

# The network is the host's, as are the certificates it trusts.
certificates=/etc/ssl/certs/ca-certificates.crt
mounts=()
if [ -f "$certificates" ]; then
  printf '[global]\ncert = %s\ndefault-timeout = 180\n' "$certificates" > "$where/pip.conf"
  mounts=(--volume "$certificates:$certificates:ro" --volume "$where/pip.conf:/etc/pip.conf:ro")
fi
buildah bud --quiet --format docker ${base:+--pull-never} --network host --layers=false "${mounts[@]}" \
  --file "$where/Dockerfile" --ignorefile .dockerignore --target engine --tag localhost/broadaxe . 
buildah inspect --type image localhost/broadaxe \
  | python3 -c 'import json, sys; json.dump(json.load(sys.stdin)["Docker"]["config"], sys.stdout)' > "$where/config.json"
container=$(buildah from --pull-never localhost/broadaxe)
rm -rf "$where/root"
cp -a "$(buildah mount "$container")" "$where/root"
echo "$(du -sm "$where/root" | cut -f1) MB, of which Broadaxe and its packages $(du -sm "$where/root/opt" | cut -f1) MB"

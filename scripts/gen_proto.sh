#!/usr/bin/env bash
# Regenerates src/broadaxe/rpc/_gen from proto/. Called by `make proto`.
#
# The compiler is pinned and runs in a throwaway environment: its output (protobuf 5.29 gencode) works with every protobuf
# runtime the project allows, while a newer compiler would quietly raise that floor. SHA256SUMS ties sources and output
# together, so that a test without a compiler notices an edited .proto or a hand-edited generated file.
set -euo pipefail

grpcio_tools_version=1.71.2
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
out="src/broadaxe/rpc/_gen"
cd "$root"

command -v uvx >/dev/null || { echo "gen_proto: uvx is not on PATH; install uv (https://docs.astral.sh/uv/) and try again" >&2; exit 1; }

find "$out" -type f \( -name '*_pb2.py' -o -name '*_pb2.pyi' \) -delete
uvx --from "grpcio-tools==$grpcio_tools_version" python -m grpc_tools.protoc \
  --proto_path=proto --python_out=src --pyi_out=src proto/broadaxe/rpc/_gen/*.proto

# The worker is a distribution of its own, and has the one file it needs.
cp "$out"/session_pb2.py "$out"/session_pb2.pyi worker/src/broadaxe_worker/

LC_ALL=C sha256sum proto/broadaxe/rpc/_gen/*.proto "$out"/*_pb2.py "$out"/*_pb2.pyi >"$out/SHA256SUMS"
echo "gen_proto: wrote $(ls "$out"/*_pb2.py | wc -l) modules to $out"

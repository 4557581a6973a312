#!/usr/bin/env bash
# Starts an engine, the worker and the web edge; Ctrl-C ends all three. Called by `make demo-old`.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
port="${PORT:-8047}"
env_file="$(mktemp -d)/engine.env"

# The worker says goodbye to the engine, so the engine goes last.
stop() {
  trap - EXIT
  trap 'kill "$engine"; exit 130' INT TERM HUP
  kill $clients 2>/dev/null || true
  [ -z "$clients" ] || wait $clients || true
  kill "$engine" 2>/dev/null || true
  wait "$engine" || true
  rm -rf "$(dirname "$env_file")"
}
clients=""
engine=""
trap stop EXIT
trap 'exit 130' INT TERM HUP

# In a session of its own, where the terminal's Ctrl-C does not reach it.
setsid "$root/.venv/bin/broadaxe" dev --data-dir "$root/.broadaxe/chat-0.47" --env-file "$env_file" &
engine=$!
while [ ! -e "$env_file" ]; do
  kill -0 "$engine" 2>/dev/null || exit 1
  sleep 0.1
done

# This SDK reads its addresses from the token; nothing else of the file is needed.
set -a
eval "$(grep -E '^HATCHET_CLIENT_(TOKEN|TLS_STRATEGY)=' "$env_file")"
set +a

cd "$here"
python="$root/.venv-sdk-0.47/bin/python"
"$python" -m rag_chat_0_47.worker &
clients=$!
"$python" -m uvicorn rag_chat_0_47.api:app --host 127.0.0.1 --port "$port" &
clients="$clients $!"
echo "The chat will be at http://127.0.0.1:$port"
wait -n

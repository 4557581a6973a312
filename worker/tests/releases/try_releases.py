"""Tries releases of the SDK, each in an environment of its own, on a worker and a caller against a running engine.

    broadaxe dev --env-file engine.env &
    set -a; . ./engine.env; set +a
    python worker/tests/releases/try_releases.py 1.33.0 1.43.1

Needs uv. Exit code 1 if one does not work.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src"


def attempt(version: str, home: Path) -> str:
    """What is wrong with the release; empty if nothing is."""
    python = home / version / "bin" / "python"
    subprocess.run(["uv", "venv", "-q", str(home / version)], check=True)
    subprocess.run(["uv", "pip", "install", "-q", "-p", str(python), f"hatchet-sdk=={version}"], check=True)
    env = os.environ | {
        "PYTHONPATH": f"{SOURCE}{os.pathsep}{HERE}",
        "HATCHET_CLIENT_NAMESPACE": f"r{version.replace('.', '_')}",
    }
    log_path = home / f"{version}.log"
    with log_path.open("w") as log:
        command = [str(python), "-m", "broadaxe_worker", "program:hatchet"]
        worker = subprocess.Popen(command, env=env, cwd=HERE, stdout=log, stderr=log)
    try:
        deadline_at_s = time.monotonic() + 120
        while "waits for tasks" not in log_path.read_text():
            if worker.poll() is not None or time.monotonic() > deadline_at_s:
                return f"the worker did not start:\n{log_path.read_text()[-2000:]}"
            time.sleep(0.2)
        calls = subprocess.run(
            [str(python), "calls.py"], env=env, cwd=HERE, timeout=300, capture_output=True, text=True, check=False
        )
        return calls.stderr[-2000:] + log_path.read_text()[-2000:] if calls.returncode else ""
    finally:
        worker.terminate()
        worker.wait(60)


def main() -> int:
    failed = 0
    with tempfile.TemporaryDirectory() as home:
        for version in sys.argv[1:]:
            problem = attempt(version, Path(home))
            failed += bool(problem)
            print(f"hatchet-sdk {version}: {problem or 'works'}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""What an engine has imported when it says that it is ready: what it needs to serve workers, and no more.

Half of a start was once importing. A timing would say little on a busy machine; names say which line brought it back.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

#: Each costs tens to hundreds of milliseconds, and is for what comes later: pages, the REST API, passwords, webhooks.
LATER = (
    "aiosmtplib",
    "broadaxe.rest.app",
    "broadaxe.rest.wire",
    "cryptography",
    "fastapi",
    "grpc",
    "http.server",
    "httpx",
    "markdown_it",
    "opentelemetry",
    "prometheus_client",
    "pydantic",
    "starlette",
)

PROGRAM = """
import json, os, signal, sys, urllib.request
from asyncio import to_thread
from broadaxe.cli import main
from broadaxe.cli.engine_process import run_until_signal
from broadaxe.config import load

def asked(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.status

async def announce(app):
    await app.bootstrap_dev()
    imported = [name for name in json.loads(sys.argv[1]) if name in sys.modules]
    print(json.dumps([imported, await to_thread(asked, app.http_url + "/api/v1/meta"), "fastapi" in sys.modules]))
    os.kill(os.getpid(), signal.SIGTERM)

raise SystemExit(run_until_signal(load(os.environ, {}, {}), announce))
"""


def test_an_engine_that_is_ready_has_not_imported_what_comes_later(database: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(LATER)],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ
        | {
            "BROADAXE_DATABASE_URL": database,
            "BROADAXE_DATA_DIR": str(tmp_path),
            "BROADAXE_GRPC_PORT": "0",
            "BROADAXE_HTTP_PORT": "0",
        },
    )
    assert done.returncode == 0, done.stderr
    imported, status, is_there = json.loads(done.stdout)
    assert imported == []
    assert (status, is_there) == (200, True), "the first request is answered, and brings in what answers it"

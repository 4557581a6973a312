"""The provider of `server.js`, as a process of a test's own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

SERVER = Path(__file__).with_name("server.js")
#: That of this environment, if `make setup` had to bring one along.
NODE = Path(sys.executable).with_name("node")
SECRET = "a secret: with signs/+"


class ProviderProcess:
    """Listens once it is made. `redirects` are where it may lead people back to."""

    def __init__(self, *redirects: str) -> None:
        node = str(NODE) if NODE.exists() else "node"
        self._process = subprocess.Popen(
            [node, str(SERVER), *redirects], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        self.issuer = self._process.stdout.readline().strip()
        assert self.issuer, "the provider did not start; run `make setup`"

    def ask(self, what: str, said: Any = None) -> None:
        """`person`, `redirects` or `keys`, as `server.js` has them."""
        body = json.dumps(said).encode()
        with urlopen(Request(f"{self.issuer}/{what}", body, method="POST"), timeout=60) as answer:
            assert answer.status == 200

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()

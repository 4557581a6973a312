"""No test here has an engine; what needs one is in tests/wire of the repository."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


def _token() -> str:
    """As the SDK wants it; nobody is asked whether it is good."""
    claims = {"sub": "707d0855-80ab-4e1f-a156-f1c4546cbf52", "server_url": "http://x", "grpc_broadcast_address": "x:1"}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJIUzI1NiJ9.{body}.c2ln"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A directory of its own, whose modules are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HATCHET_CLIENT_TOKEN", _token())
    monkeypatch.setenv("HATCHET_CLIENT_TLS_STRATEGY", "none")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]

"""A file of JSON lines that survives kill -9 of its writer: each line is one `write` on an O_APPEND descriptor."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

Note: TypeAlias = dict[str, Any]


class Journal:
    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, what: str, **more: object) -> None:
        line = json.dumps({"what": what, "at": time.time(), **more}) + "\n"
        os.write(self._descriptor, line.encode())


def read_journals(*paths: Path) -> Iterator[Note]:
    for path in paths:
        for line in path.read_text().splitlines():
            yield json.loads(line)

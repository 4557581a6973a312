"""The file `dev.json` of a data directory: what `broadaxe dev` keeps for itself, so that after a restart workers have
the same token and people the same link.

Owns its form. Only its owner may read the file, and it is written in one step. Commands beside the engine read it to
reach the engine of the same data directory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

__all__ = ["DevSecrets", "place", "read", "write"]

FILE: Final = "dev.json"


class DevSecrets(msgspec.Struct):
    """Empty texts where nothing is kept yet."""

    token: str = ""
    password: str | None = None
    server_url: str = ""
    grpc_address: str = ""
    is_passing: bool = False
    """Whether the token was for one start alone."""
    entry_key: str = ""


def place(data_dir: Path) -> Path:
    """Where the file is."""
    return data_dir / FILE


def read(path: Path) -> DevSecrets:
    """What is kept; nothing when there is no such file, or it cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=DevSecrets)
    except (OSError, msgspec.MsgspecError):
        return DevSecrets()


def write(path: Path, kept: DevSecrets) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.touch(mode=0o600)
    temporary.write_bytes(msgspec.json.encode(kept))
    temporary.replace(path)

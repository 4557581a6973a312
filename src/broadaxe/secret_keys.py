"""Keys that stored secrets are sealed with: their form, and the file in which an engine of `dev` keeps its own.

Refuses a key that is not 32 bytes, and a key file that cannot be used. Invariants: the file is readable by its owner
only, is written whole or not at all, and is never written over. What is done with keys is `storage/vault.py`'s.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import secrets
from pathlib import Path
from typing import Final

from broadaxe import private_file
from broadaxe.errors import ConfigurationError

__all__ = ["KEY_BYTES", "key_from_file", "parse_key"]

KEY_BYTES: Final = 32


def parse_key(text: str) -> bytes:
    """A key from base64, with either alphabet and with or without padding. ValueError unless it is 32 bytes."""
    stripped = text.strip().rstrip("=")
    try:
        key = base64.b64decode(stripped.replace("-", "+").replace("_", "/") + "=" * (-len(stripped) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError("a key is 32 random bytes in base64; make one with: openssl rand -base64 32")
    return key


def key_from_file(path: Path) -> bytes:
    """The key in the file, which only its owner may read; a new one if there is no file yet."""
    try:
        if not path.exists():
            _make(path)
        return parse_key(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the key in {path} cannot be used: {error}; put the right file back, or delete it to get a new key "
            "(secrets of webhooks, alerts and second factors, which the old one sealed, must then be stored anew)",
            field="data_dir",
        ) from None


def _make(path: Path) -> None:
    """Writes a fresh key, whole or not at all. Whoever comes second keeps the first one's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = private_file.create(fresh)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(fresh)
    finally:
        fresh.unlink()

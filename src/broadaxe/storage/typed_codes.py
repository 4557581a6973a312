"""Codes that people type: four groups of four letters and digits, 78 random bits, of which only a hash is stored."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

__all__ = ["CODE_CHARS_MAX", "code_hash", "new_code"]

#: Without letters and digits that look like others.
_ALPHABET: Final = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
_GROUPS: Final = 4
_GROUP_CHARS: Final = 4
#: Longer texts are no code.
CODE_CHARS_MAX: Final = 64


def new_code() -> str:
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_CHARS)) for _ in range(_GROUPS))
    return "-".join(groups)


def code_hash(code: str) -> bytes:
    """However it is typed: small letters, with or without hyphens and spaces."""
    plain = "".join(letter for letter in code.upper() if letter.isalnum())
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest()

"""Ids as 16 bytes, where texts of 36 characters would take too much room."""

from __future__ import annotations

__all__ = ["id_text", "packed_id"]


def packed_id(text: str) -> bytes:
    return bytes.fromhex(text.replace("-", ""))


def id_text(packed: bytes) -> str:
    digits = packed.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

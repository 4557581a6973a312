"""Secrets at rest: what must be stored, must be read again, and must not be readable in a dump of the database.

Owns sealing and opening with AES-256-GCM; where keys come from is `broadaxe.secret_keys`'s business. A sealed secret
is bound to its place (a text such as "webhook <tenant> <id>"), so that it is worth nothing in another row. The first
key seals, every key opens: a new key goes in front of the old one, which stays until nothing sealed with it is left.

Refuses to open what another key sealed, by the fingerprint of the key that stands before it, in words that say what to
do. Invariants: keys and opened secrets are never logged and are in no error; a nonce is used once.

Layout: 1 byte version, 4 bytes fingerprint of the key, 12 bytes nonce, ciphertext with its tag.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import Final

from broadaxe.errors import FailedPrecondition, Unavailable

__all__ = ["Vault"]

_VERSION: Final = b"\x01"
_FINGERPRINT_BYTES: Final = 4
_NONCE_BYTES: Final = 12
_HEAD_BYTES: Final = len(_VERSION) + _FINGERPRINT_BYTES + _NONCE_BYTES


class Vault:
    """Seals and opens short texts. Without a key it refuses both."""

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self._sealing = _fingerprint(keys[0]) if keys else None
        self._keys = {_fingerprint(key): key for key in keys}

    def seal(self, text: str, *, place: str) -> bytes:
        """`text` as it may be stored at `place`. FailedPrecondition when the engine has no key."""
        if self._sealing is None:
            raise FailedPrecondition(
                "this engine has no key to keep secrets with; set BROADAXE_SECRET_KEY to 32 random bytes in base64 "
                "(openssl rand -base64 32) and start it again"
            )
        # Not before it is needed: a start would wait for it.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(self._keys[self._sealing]).encrypt(nonce, text.encode(), _aad(place))
        return _VERSION + self._sealing + nonce + sealed

    def open(self, sealed: bytes, *, place: str) -> str:
        """What was sealed at `place`. Unavailable when this engine lacks the key, or the bytes are damaged."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key = self._keys.get(sealed[len(_VERSION) : len(_VERSION) + _FINGERPRINT_BYTES])
        if key is None or sealed[: len(_VERSION)] != _VERSION:
            raise Unavailable(
                "a stored secret was sealed with a key that this engine does not have; put that key into "
                "BROADAXE_SECRET_KEY (after the present one, separated by a comma), or store the secret anew"
            )
        nonce = sealed[_HEAD_BYTES - _NONCE_BYTES : _HEAD_BYTES]
        try:
            return AESGCM(key).decrypt(nonce, sealed[_HEAD_BYTES:], _aad(place)).decode()
        except (InvalidTag, ValueError):
            raise Unavailable("a stored secret is damaged or belongs elsewhere; store it anew") from None


def _fingerprint(key: bytes) -> bytes:
    return hashlib.sha256(b"broadaxe vault" + key).digest()[:_FINGERPRINT_BYTES]


def _aad(place: str) -> bytes:
    return place.encode()

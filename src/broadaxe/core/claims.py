"""Which run of a tenant holds which idempotency key, kept as small as it can be.

A claim takes about 180 bytes whatever its key: a digest of the key (64), run id and expiry packed into one bytes object
(64), its place in the dictionary (about 42) and in the list of what expires in the same second (9). A million are
180 MB.

Refuses to decide anything and to know rules: `idempotency.py` does. Invariants: every claim stands in the list of the
second its time ends in; lists hold at most as many references to claims that are gone as to live ones, and some.

Cost: `get`, `put` and `drop` are O(1), `drop` amortised; `pop_expired` is O(1) per reference.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import ItemsView
from typing import Final

from broadaxe.core.durations import US_PER_S
from broadaxe.core.packed_ids import id_text, packed_id

_DIGEST_BYTES: Final = 16
_RUN_ID_BYTES: Final = 16
#: References to claims that are gone, beyond those to live ones, before the lists of what expires are made anew.
_STALE_MIN: Final = 1_024


class Claims:
    """Who holds which key. Keys are known by their digests."""

    __slots__ = ("_by_digest", "_expiring", "_references", "_seconds", "sweep_at_us")

    def __init__(self) -> None:
        self._by_digest: dict[bytes, bytes] = {}
        self._expiring: dict[int, list[bytes]] = {}
        """By second: digests of claims that end in it, and of some that were released or taken over since."""
        self._seconds: list[int] = []
        """The keys of `_expiring`, as a heap."""
        self._references = 0
        self.sweep_at_us: int | None = None
        """When the next sweep is due."""

    def __len__(self) -> int:
        return len(self._by_digest)

    def get(self, digest: bytes) -> bytes | None:
        return self._by_digest.get(digest)

    def items(self) -> ItemsView[bytes, bytes]:
        """Packed claims by the digest of their key."""
        return self._by_digest.items()

    def put(self, digest: bytes, packed: bytes) -> None:
        self._by_digest[digest] = packed
        self._expect(digest, packed)

    def drop(self, digest: bytes) -> None:
        del self._by_digest[digest]
        if self._references > 2 * len(self._by_digest) + _STALE_MIN:
            self._expiring.clear()
            self._seconds.clear()
            self._references = 0
            for known, packed in self._by_digest.items():
                self._expect(known, packed)

    def next_second(self) -> int | None:
        return self._seconds[0] if self._seconds else None

    def pop_expired(self, now_us: int, count_max: int) -> list[bytes]:
        """Drops claims whose time is over, and says which."""
        ended: list[bytes] = []
        seconds = self._seconds
        while seconds and seconds[0] * US_PER_S <= now_us and len(ended) < count_max:
            digests = self._expiring[seconds[0]]
            while digests and len(ended) < count_max:
                digest = digests.pop()
                self._references -= 1
                packed = self._by_digest.get(digest)
                if packed is not None and expires_at_us(packed) <= now_us:
                    del self._by_digest[digest]
                    ended.append(digest)
            if not digests:
                del self._expiring[heapq.heappop(seconds)]
        return ended

    def _expect(self, digest: bytes, packed: bytes) -> None:
        second = -(-expires_at_us(packed) // US_PER_S)
        digests = self._expiring.get(second)
        if digests is None:
            digests = self._expiring[second] = []
            heapq.heappush(self._seconds, second)
        digests.append(digest)
        self._references += 1


def digest_of(key: str) -> bytes:
    return hashlib.blake2b(key.encode(), digest_size=_DIGEST_BYTES).digest()


def pack(run_id: str, expires_us: int) -> bytes:
    """A claim as it is kept: 16 bytes of the run's id, 8 of the instant; `idempotency_claims.sql` makes the same."""
    return packed_id(run_id) + expires_us.to_bytes(8, "big", signed=True)


def run_id_of(packed: bytes) -> str:
    return id_text(packed[:_RUN_ID_BYTES])


def expires_at_us(packed: bytes) -> int:
    return int.from_bytes(packed[_RUN_ID_BYTES:], "big", signed=True)

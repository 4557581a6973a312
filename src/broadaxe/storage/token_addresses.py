"""From where API tokens are used, and that a use from a new address is told in the audit log.

Owns the pairs of token and address that this process has seen, which cost nothing any more, and noting the others in
the table, which decides whether one is news: so a restart, and another engine, tell nothing twice. The first address of
a token is where it lives, and no news. Refuses to hold up or to fail what is asked with the token.

Invariants: an entry for each token and address at most, in the transaction that notes the address; at most `PAIRS_MAX`
pairs are known and `UNDER_WAY_MAX` are being noted, and what is beyond is noted with a later use.
"""

from __future__ import annotations

from typing import Final

import asyncpg

from broadaxe.core.audit import Action, Subject
from broadaxe.core.commands.asked import Initiator
from broadaxe.loops import Loops
from broadaxe.storage import audit
from broadaxe.storage.statements import statement

__all__ = ["TokenAddresses"]

PAIRS_MAX: Final = 10_000
UNDER_WAY_MAX: Final = 32
#: A token that is used from more says nothing by being used from another one.
ADDRESSES_OF_A_TOKEN_MAX: Final = 1_000


class TokenAddresses:
    """Of one process. `background` is closed by whoever gives it."""

    def __init__(self, pool: asyncpg.Pool, background: Loops) -> None:
        self._pool = pool
        self._background = background
        self._known: dict[tuple[str, str], None] = {}
        """Insertion order is age."""
        self._under_way: set[tuple[str, str]] = set()

    def note(self, tenant_id: str, by: Initiator) -> None:
        """A token of this tenant is used; `by` names it and the address."""
        pair = (by.id, by.address)
        if pair in self._known or pair in self._under_way or not by.address:
            return
        if len(self._under_way) < UNDER_WAY_MAX:
            self._under_way.add(pair)
            self._background.go("addresses of tokens", self._note(pair, tenant_id, by))

    async def _note(self, pair: tuple[str, str], tenant_id: str, by: Initiator) -> None:
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                name = await connection.fetchval(statement("tokens/note_address"), *pair, ADDRESSES_OF_A_TOKEN_MAX)
                if name is not None:
                    used = Subject(by.id, name, {"address": by.address})
                    await audit.write(connection, tenant_id, by, Action.TOKEN_USE, used)
            while len(self._known) >= PAIRS_MAX:
                del self._known[next(iter(self._known))]
            self._known[pair] = None
        finally:
            self._under_way.discard(pair)

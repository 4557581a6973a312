"""Cursors: how a list is read page by page without counting rows off.

Owns the text of a cursor and every check of one that comes back. A cursor holds where a page ended (`storage/pages.py`)
and a digest of the list and the order it belongs to, because a place in one order means nothing in another. It holds
nothing secret and grants nothing: which rows are selected depends on the caller and the address alone, and a cursor
made up by hand can only skip some of them.

Refuses, naming `cursor`: what is not a cursor, what another list or order gave, and a cursor beside an offset.
"""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Annotated, Final, Generic, Protocol

import msgspec
from fastapi import Query

from broadaxe.errors import InvalidArgument
from broadaxe.rest.parameters import page_of
from broadaxe.rest.wire import Pagination
from broadaxe.storage.pages import Page, Place, Row

__all__ = ["NEXT_CURSOR", "Cursor", "Listing"]

#: Room for the longest text that a list is ordered by, the key of a rate limit: 4,096 characters, which JSON may spell
#: with six each.
CURSOR_LENGTH_MAX: Final = 36_864
_DIGEST_BYTES: Final = 6

#: The header of the lists whose bodies are bare arrays.
NEXT_CURSOR: Final = "X-Next-Cursor"

#: Its length is checked here: the document would have clients try texts that are longer than an address may be.
Cursor = Annotated[
    str | None, Query(description="`next_cursor` of the page before, to go on behind it. Not together with `offset`.")
]


class _Envelope(msgspec.Struct, frozen=True, array_like=True):
    listing: str
    place: msgspec.Raw


class Asked(Protocol):
    """Which part of a list a query asks for."""

    @property
    def limit(self) -> int: ...

    @property
    def offset(self) -> int: ...

    @property
    def cursor(self) -> str | None: ...


class Listing(Generic[Place]):
    """A list in one order, as its cursors know it."""

    __slots__ = ("_digest", "_place")

    def __init__(self, place: type[Place], *words: str) -> None:
        """`words` tell this list from all others and one order from another: they may name a field or a task."""
        self._place = place
        digest = blake2b("\0".join(words).encode(errors="surrogatepass"), digest_size=_DIGEST_BYTES)
        self._digest = digest.hexdigest()

    def after(self, cursor: str | None, offset: int = 0) -> Place | None:
        """The place that the cursor holds; None without one. InvalidArgument for what is not a cursor of this list."""
        if cursor is None:
            return None
        if offset:
            raise InvalidArgument(
                "give a cursor or an offset, not both: a cursor says itself where its page begins", field="cursor"
            )
        try:
            if len(cursor) > CURSOR_LENGTH_MAX:
                raise ValueError("longer than any cursor")
            text = b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            envelope = msgspec.json.decode(text, type=_Envelope)
            place = None
            if envelope.listing == self._digest:
                place = msgspec.json.decode(envelope.place, type=self._place)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise InvalidArgument(
                "this is not a cursor; send the next_cursor of the page before unchanged, or none for the first page",
                field="cursor",
            ) from None
        if place is None:
            raise InvalidArgument(
                "this cursor is of another list or another order; leave it out to begin with the first page",
                field="cursor",
            )
        return place

    def cursor(self, place: Place | None) -> str | None:
        """The text that leads behind this place."""
        if place is None:
            return None
        envelope = _Envelope(self._digest, msgspec.Raw(msgspec.json.encode(place)))
        return urlsafe_b64encode(msgspec.json.encode(envelope)).rstrip(b"=").decode()

    async def read(
        self,
        asked: Asked,
        page: Callable[[int, int, Place | None], Awaitable[Page[Row, Place]]],
        count: Callable[[], Awaitable[int]],
        numbers: Callable[[int, int, int], Pagination] = page_of,
    ) -> tuple[list[Row], Pagination]:
        """The rows that a query asks for, and what the answer says of their page. `page` takes limit, offset and place;
        all rows are counted only where `numbers` (of offset, limit and total) are told."""
        after = self.after(asked.cursor, asked.offset)
        found = await page(asked.limit, asked.offset, after)
        told = numbers(asked.offset, asked.limit, await count()) if after is None else None
        return found.rows, self.pagination(found.end, told)

    def pagination(self, end: Place | None, numbers: Pagination | None = None) -> Pagination:
        """What an answer says of a page that ends there: the next cursor, and page numbers where they can be told."""
        return (numbers or Pagination()).model_copy(update={"next_cursor": self.cursor(end)})

    def only_cursor(self, end: Place | None) -> Pagination | None:
        """The same for lists that tell nothing else, and nothing at all on their last page."""
        return None if end is None else self.pagination(end)

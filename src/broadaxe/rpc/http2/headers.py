"""Header blocks: HPACK with a memory, and what makes a request's header section well-formed (RFC 9113, section 8).

Owns the decoder of one connection, the validation of what it decodes, and the writing of response blocks. Refuses:
meaning. What `content-type` or `grpc-timeout` stand for is `grpc`'s to know.

**The memory.** Decoding a block of ten fields costs more than everything else a unary call needs of this package, and
a client that calls one method again and again sends the same bytes each time. So decoded blocks are remembered. When
is that right? What a block decodes to is a function of its bytes and of the state of the dynamic table before it; so a
remembered result holds exactly as long as the table does not change. And a block that changes the table must always be
executed. Both follow from one rule:

    after decoding a block, compare the table with what it was before;
    unchanged -> remember the result; changed -> forget every result, and do not remember this one.

A block that left a table as it found it will do so again on the same table, so skipping it loses nothing. The table is
compared by its maximum size, its number of entries and the identity of its newest entry: entries come in only at the
new end and leave only at the old end (or all at once), therefore same newest and same number means same entries. A
C-core client inserts fields in its first calls and afterwards only refers to them, so nearly every later call is found.
A client whose every call inserts a field (a deadline that differs) shifts all its references too: there is nothing to
remember then, and nothing is.

**Responses** use no dynamic table and no Huffman code. Their blocks are constants that may be written at any time, to
any connection, in any order.

Invariants: after `CompressionBroken` the decoder is of no use and its connection must end; memory is bounded by
`REMEMBERED_BLOCKS_MAX * REMEMBERED_BLOCK_SIZE_BYTES_MAX` and the table's 4,096 bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from hpack import Decoder, HPACKError, OversizedHeaderListError

if TYPE_CHECKING:
    from broadaxe.rpc.http2.grpc import Request

REMEMBERED_BLOCKS_MAX: Final = 64
REMEMBERED_BLOCK_SIZE_BYTES_MAX: Final = 4_096

_CONNECTION_FIELDS: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)
_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_FORBIDDEN_IN_VALUE: Final = re.compile(rb"[\x00\r\n]")
_DIGITS: Final = re.compile(rb"[0-9]{1,18}")


class CompressionBroken(Exception):
    """The block cannot be decoded, and with it no later one."""


class HeaderListTooLarge(CompressionBroken):
    """The decoded fields exceed the bound that was announced to the peer."""


class Head:
    """The header section of a well-formed request. Shared by all calls that sent the same bytes: never written to,
    but for `request`, which is where `grpc` leaves its reading of it so that it reads each head once."""

    __slots__ = ("content_length", "fields", "method", "path", "request")

    def __init__(
        self, method: bytes, path: bytes, fields: tuple[tuple[bytes, bytes], ...], content_length: int | None
    ) -> None:
        self.method = method
        self.path = path
        self.fields = fields
        self.content_length = content_length
        self.request: Request | None = None


class Malformed(str):
    """Why a header section is not well-formed. Ends the stream, not the connection: the block itself was decoded."""

    __slots__ = ()


class HeaderDecoder:
    """The decoding side of one connection."""

    __slots__ = ("_decoder", "_remembered", "hits", "misses")

    def __init__(self, list_size_bytes_max: int) -> None:
        self._decoder = Decoder(max_header_list_size=list_size_bytes_max)
        self._remembered: dict[bytes, Head | Malformed] = {}
        self.hits = 0
        self.misses = 0

    def request(self, block: bytes) -> Head | Malformed:
        """The head of a request. Raises `CompressionBroken`."""
        known = self._remembered.get(block)
        if known is not None:
            self.hits += 1
            return known
        self.misses += 1
        fields, is_table_unchanged = self._decode(block)
        head = _head(fields)
        if is_table_unchanged and len(block) <= REMEMBERED_BLOCK_SIZE_BYTES_MAX:
            if len(self._remembered) >= REMEMBERED_BLOCKS_MAX:
                self._remembered.clear()
            self._remembered[block] = head
        return head

    def trailers(self, block: bytes) -> Malformed | None:
        """Decodes the trailers of a request, which nobody reads, for their effect on the table."""
        fields, _ = self._decode(block)
        for name, value in fields:
            if name.startswith(b":"):
                return Malformed("a pseudo-header field among the trailers")
            fault = _fault(name, value)
            if fault is not None:
                return fault
        return None

    def _decode(self, block: bytes) -> tuple[list[tuple[bytes, bytes]], bool]:
        table = self._decoder.header_table
        entries = table.dynamic_entries
        size, count, newest = table.maxsize, len(entries), entries[0] if entries else None
        try:
            fields = [(name, value) for name, value in self._decoder.decode(block, raw=True)]
        except OversizedHeaderListError as error:
            raise HeaderListTooLarge("the header list is larger than the announced maximum") from error
        except HPACKError as error:
            raise CompressionBroken(str(error)[:200]) from error
        if table.maxsize == size and len(entries) == count and (not entries or entries[0] is newest):
            return fields, True
        self._remembered.clear()
        return fields, False


def _head(fields: Iterable[tuple[bytes, bytes]]) -> Head | Malformed:
    pseudo: dict[bytes, bytes] = {}
    regular: list[tuple[bytes, bytes]] = []
    content_length: int | None = None
    for name, value in fields:
        if name[:1] == b":":
            if regular:
                return Malformed("a pseudo-header field after a regular one")
            if name in pseudo:
                return Malformed(f"{name.decode('latin-1')} twice")
            if name not in (b":method", b":scheme", b":path", b":authority"):
                return Malformed("an unknown pseudo-header field")
            if _FORBIDDEN_IN_VALUE.search(value):
                return Malformed(f"a control character in {name.decode('latin-1')}")
            pseudo[name] = value
            continue
        fault = _fault(name, value)
        if fault is not None:
            return fault
        if name == b"content-length":
            if not _DIGITS.fullmatch(value) or content_length not in (None, int(value)):
                return Malformed("content-length is not one number")
            content_length = int(value)
        regular.append((name, value))
    method, path = pseudo.get(b":method"), pseudo.get(b":path")
    if not method or not path or not pseudo.get(b":scheme"):
        return Malformed(":method, :scheme and :path are needed")
    if not path.startswith(b"/") and not (path == b"*" and method == b"OPTIONS"):
        return Malformed(":path must start with a slash")
    return Head(method, path, tuple(regular), content_length)


def _fault(name: bytes, value: bytes) -> Malformed | None:
    if not _NAME.fullmatch(name):
        return Malformed("a field name with characters that are not allowed; names are lower-case")
    # Space at the ends of a value is forbidden too, but it harms nobody and its sender deserves a better answer.
    if _FORBIDDEN_IN_VALUE.search(value):
        return Malformed(f"a control character in the value of {name.decode('latin-1')}")
    if name in _CONNECTION_FIELDS:
        return Malformed(f"{name.decode('latin-1')} has no place in HTTP/2")
    if name == b"te" and value != b"trailers":
        return Malformed("te may only be 'trailers'")
    return None


def write_block(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A header block of literals that touch no table. `:status` must come first if it is there."""
    return b"".join(b"\x00" + _string(name) + _string(value) for name, value in fields)


def _string(text: bytes) -> bytes:
    length = len(text)
    if length < 127:
        return bytes((length,)) + text
    prefix = bytearray((127,))
    length -= 127
    while length >= 128:
        prefix.append(length & 127 | 128)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + text

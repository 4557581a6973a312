"""What gRPC puts into HTTP/2: messages, deadlines, metadata, trailers.

Owns the reading of a request's head (`Request`), the cutting of a body into messages, decompression, and the header
blocks of responses. Refuses: streams, windows and tasks.

Invariants: no message larger than `RECEIVE_SIZE_BYTES_MAX` is ever held, compressed or not; a status message and its
trailing metadata always fit what the client accepts, if need be shortened or left out, because a client that refuses
the trailers never learns the status.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

from broadaxe.rpc.http2.headers import Head, write_block
from broadaxe.rpc.transport import RECEIVE_SIZE_BYTES_MAX, Code, Metadata, RpcError

PREFIX_SIZE_BYTES: Final = 5
_PREFIX: Final = struct.Struct(">BL")

#: The encodings of messages that we can read, with the window bits that make zlib expect exactly their format.
_WINDOW_BITS: Final[Mapping[str, int]] = MappingProxyType({"gzip": 31, "deflate": 15})
_ACCEPTED_ENCODINGS: Final = b"identity,gzip,deflate"

_TIMEOUT: Final = re.compile(r"([0-9]{1,8})([HMSmun])")
_SECONDS_PER_UNIT: Final[Mapping[str, float]] = MappingProxyType(
    {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
)
#: A deadline further away is none: timers of event loops do not reach for ever.
TIMEOUT_S_MAX: Final = 30 * 86_400.0

#: Fields that belong to the call and not to the caller's metadata.
_RESERVED: Final = frozenset(
    (
        b"accept-encoding",
        b"content-length",
        b"content-type",
        b"grpc-accept-encoding",
        b"grpc-encoding",
        b"grpc-message-type",
        b"grpc-timeout",
        b"te",
    )
)

#: A client that announces no limit is still one that may have one; C-core refuses from 8 KiB on.
TRAILERS_SIZE_BYTES_DEFAULT: Final = 8_192
_STATUS_MESSAGE_SIZE_BYTES_MAX: Final = 6_000
_FIELD_OVERHEAD_SIZE_BYTES: Final = 32
_TRAILING_KEY: Final = re.compile(r"[0-9a-z_.-]+")

Trailing: TypeAlias = tuple[tuple[str, str | bytes], ...]


# Requests ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NotGrpc:
    """A request that is not gRPC at all, and the HTTP status that says so."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Request:
    """A request's head as gRPC reads it. Depends on nothing but the head, so it is shared by calls with equal heads."""

    path: str
    metadata: Metadata
    timeout_s: float | None
    encoding: str
    fault: RpcError | NotGrpc | None
    """Why the call cannot be served, whatever its method."""


def read_request(head: Head) -> Request:
    """Reads a head once and leaves the reading with it."""
    request = head.request
    if request is None:
        request = head.request = _read(head)
    return request


def _read(head: Head) -> Request:
    path = head.path.decode("ascii", "replace")
    fields = dict(head.fields)
    fault: RpcError | NotGrpc | None = None
    metadata: dict[str, str | bytes] = {}
    timeout_s: float | None = None
    encoding = fields.get(b"grpc-encoding", b"identity").decode("ascii", "replace")
    content_type = fields.get(b"content-type", b"")
    if not _is_grpc(content_type):
        fault = NotGrpc(415, "this port speaks gRPC; a request's content-type must be application/grpc")
    elif head.method != b"POST":
        fault = NotGrpc(405, "this port speaks gRPC; a request's method must be POST")
    else:
        try:
            metadata = _metadata(head.fields)
            timeout_s = _timeout_s(fields.get(b"grpc-timeout"))
        except RpcError as error:
            fault = error
        if encoding != "identity" and encoding not in _WINDOW_BITS:
            fault = RpcError(
                Code.UNIMPLEMENTED,
                f"grpc-encoding: {encoding[:40]} is not supported; use one of {_ACCEPTED_ENCODINGS.decode()}",
                (("grpc-accept-encoding", _ACCEPTED_ENCODINGS.decode()),),
            )
    return Request(path, MappingProxyType(metadata), timeout_s, encoding, fault)


def _is_grpc(content_type: bytes) -> bool:
    # Neither application/grpc-web nor application/grpcurl, which only begin alike.
    return content_type == b"application/grpc" or content_type.startswith((b"application/grpc+", b"application/grpc;"))


def _metadata(fields: Iterable[tuple[bytes, bytes]]) -> dict[str, str | bytes]:
    metadata: dict[str, str | bytes] = {}
    for name, value in fields:
        if name in _RESERVED:
            continue
        key = name.decode("ascii")
        if name.endswith(b"-bin"):
            # Several values may have been joined on the way; of a repeated key the last one counts.
            last = value.rpartition(b",")[2].strip()
            try:
                metadata[key] = base64.b64decode(last + b"=" * (-len(last) % 4), validate=True)
            except binascii.Error:
                raise RpcError(
                    Code.INVALID_ARGUMENT, f"metadata {key}: not base64, which keys ending in -bin must be"
                ) from None
        else:
            metadata[key] = value.strip().decode("latin-1")
    return metadata


def _timeout_s(value: bytes | None) -> float | None:
    if value is None:
        return None
    match = _TIMEOUT.fullmatch(value.decode("latin-1"))
    if match is None:
        raise RpcError(Code.INVALID_ARGUMENT, "grpc-timeout: must be up to eight digits and one of H, M, S, m, u, n")
    timeout_s = int(match[1]) * _SECONDS_PER_UNIT[match[2]]
    return timeout_s if timeout_s <= TIMEOUT_S_MAX else None


# Messages ------------------------------------------------------------------------------------------------------------


def write_message(message: bytes) -> bytes:
    return _PREFIX.pack(0, len(message)) + message


class MessageReader:
    """Cuts a body into messages. Holds at most one incomplete message of bounded size."""

    __slots__ = ("_partial",)

    def __init__(self) -> None:
        self._partial: bytearray | None = None

    @property
    def partial_size_bytes(self) -> int:
        """What was received of a message that is not complete."""
        return 0 if self._partial is None else len(self._partial)

    def feed(self, data: bytes) -> list[tuple[bool, bytes]]:
        """The messages that are complete now, each with whether it is compressed. Raises `RpcError`."""
        partial = self._partial
        if partial is None:
            size = len(data)
            # Most bodies are one message in one frame.
            if size >= PREFIX_SIZE_BYTES:
                flag, length = _PREFIX.unpack_from(data)
                if length == size - PREFIX_SIZE_BYTES and flag <= 1 and length <= RECEIVE_SIZE_BYTES_MAX:
                    return [(flag == 1, data[PREFIX_SIZE_BYTES:])]
            if not size:
                return []
            partial = bytearray(data)
        else:
            partial += data
        messages: list[tuple[bool, bytes]] = []
        at = 0
        while len(partial) - at >= PREFIX_SIZE_BYTES:
            flag, length = _PREFIX.unpack_from(partial, at)
            if flag > 1:
                raise RpcError(Code.INTERNAL, "the request body is not a sequence of gRPC messages")
            if length > RECEIVE_SIZE_BYTES_MAX:
                raise _too_large(f"is {length} bytes")
            end = at + PREFIX_SIZE_BYTES + length
            if len(partial) < end:
                break
            messages.append((flag == 1, bytes(partial[at + PREFIX_SIZE_BYTES : end])))
            at = end
        del partial[:at]
        self._partial = partial or None
        return messages


def decompress(message: bytes, encoding: str) -> bytes:
    """A compressed message as it was before. Raises `RpcError`."""
    window_bits = _WINDOW_BITS.get(encoding)
    if window_bits is None:
        raise RpcError(Code.INTERNAL, "a message is marked as compressed, but the call named no grpc-encoding")
    decompressor = zlib.decompressobj(window_bits)
    try:
        plain = decompressor.decompress(message, RECEIVE_SIZE_BYTES_MAX + 1)
    except zlib.error:
        raise RpcError(Code.INTERNAL, f"a message cannot be decompressed: it is not {encoding}") from None
    if len(plain) > RECEIVE_SIZE_BYTES_MAX:
        raise _too_large("decompresses to more")
    if not decompressor.eof:
        raise RpcError(Code.INTERNAL, f"a message cannot be decompressed: its {encoding} stream is cut off")
    return plain


def _too_large(what: str) -> RpcError:
    return RpcError(
        Code.RESOURCE_EXHAUSTED, f"a message {what}, and at most {RECEIVE_SIZE_BYTES_MAX} bytes are accepted; send less"
    )


# Responses -----------------------------------------------------------------------------------------------------------

_OPENING: Final = ((b":status", b"200"), (b"content-type", b"application/grpc"))

RESPONSE_HEADERS: Final = write_block(_OPENING)
EMPTY_RESPONSE: Final = write_block([*_OPENING, (b"grpc-status", b"0")])
"""A stream that ended well without a message."""
TRAILERS_OK: Final = write_block([(b"grpc-status", b"0")])


def error_trailers(error: RpcError, size_bytes_max: int) -> bytes:
    """The trailers that end a call after its response headers were sent."""
    return write_block(_status_fields(error, size_bytes_max))


def trailers_only(error: RpcError, size_bytes_max: int) -> bytes:
    """The single header block of a call that fails before it answered anything."""
    return write_block([*_OPENING, *_status_fields(error, size_bytes_max - 128)])


def plain_response(answer: NotGrpc) -> tuple[bytes, bytes]:
    """Header block and body of an answer to somebody who does not speak gRPC."""
    body = f"{answer.text}\n".encode()
    fields = [
        (b":status", str(answer.status).encode()),
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
    ]
    if answer.status == 405:
        fields.append((b"allow", b"POST"))
    return write_block(fields), body


def _status_fields(error: RpcError, size_bytes_max: int) -> list[tuple[bytes, bytes]]:
    room = size_bytes_max - 64
    message = _percent_encode(error.message, min(_STATUS_MESSAGE_SIZE_BYTES_MAX, max(0, room - 64)))
    fields = [(b"grpc-status", str(int(error.code)).encode())]
    if message:
        fields.append((b"grpc-message", message))
        room -= len(message) + _FIELD_OVERHEAD_SIZE_BYTES + len(b"grpc-message")
    for key, value in error.trailing:
        if not _TRAILING_KEY.fullmatch(key):
            raise ValueError(f"{key!r} is not a key of trailing metadata: use lower-case letters, digits, -, _ and .")
        encoded = _metadata_value(key, value)
        room -= len(key) + len(encoded) + _FIELD_OVERHEAD_SIZE_BYTES
        if room >= 0:
            fields.append((key.encode(), encoded))
    return fields


def _metadata_value(key: str, value: str | bytes) -> bytes:
    if key.endswith("-bin"):
        return base64.b64encode(value.encode() if isinstance(value, str) else value).rstrip(b"=")
    text = value if isinstance(value, str) else value.decode("latin-1")
    return bytes(byte if 0x20 <= byte <= 0x7E else 0x3F for byte in text.encode("latin-1", "replace"))


def _percent_encode(text: str, size_bytes_max: int) -> bytes:
    """Everything but printable ASCII as %XX, cut between two characters so that it decodes again."""
    encoded = bytearray()
    for character in text:
        if " " <= character <= "~" and character != "%":
            piece = character.encode()
        else:
            # A lone surrogate has no UTF-8 form.
            piece = b"".join(b"%%%02X" % byte for byte in character.encode("utf-8", "replace"))
        if len(encoded) + len(piece) > size_bytes_max:
            break
        encoded += piece
    return bytes(encoded)

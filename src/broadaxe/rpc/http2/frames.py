"""The words of HTTP/2 (RFC 9113): frame types, flags, error codes, settings, and how a frame is written down.

Owns constants and the writing of frames. Refuses: state. What a frame means on a connection is decided in
`connection`, which also reads frames, because reading is its innermost loop.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from enum import IntEnum
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

FRAME_HEADER_SIZE_BYTES: Final = 9
#: Length (high two bytes, low byte), type, flags, stream id. The reserved bit of the id is the reader's to mask.
FRAME_HEADER: Final = struct.Struct(">HBBBL")

FRAME_SIZE_BYTES_MIN: Final = 16_384
"""Every peer accepts frames of this size, and a peer cannot ask for less."""
FRAME_SIZE_BYTES_MAX: Final = 2**24 - 1
WINDOW_DEFAULT: Final = 65_535
WINDOW_MAX: Final = 2**31 - 1
STREAM_ID_MAX: Final = 2**31 - 1

# Plain integers, not an enum: they are compared once per frame.
DATA: Final = 0
HEADERS: Final = 1
PRIORITY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PRIORITISED: Final = 0x20


class ErrorCode(IntEnum):
    """Why a stream or a connection ended (RFC 9113, section 7)."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


class Setting(IntEnum):
    """What a peer may announce (RFC 9113, section 6.5.2). Others are ignored."""

    HEADER_TABLE_SIZE = 0x1
    ENABLE_PUSH = 0x2
    MAX_CONCURRENT_STREAMS = 0x3
    INITIAL_WINDOW_SIZE = 0x4
    MAX_FRAME_SIZE = 0x5
    MAX_HEADER_LIST_SIZE = 0x6


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    length = len(payload)
    return FRAME_HEADER.pack(length >> 8, length & 0xFF, kind, flags, stream_id) + payload


def settings(values: Iterable[tuple[int, int]]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HL", key, value) for key, value in values))


SETTINGS_ACK: Final = frame(SETTINGS, ACK, 0)


def ping(opaque: bytes, *, is_answer: bool) -> bytes:
    return frame(PING, ACK if is_answer else 0, 0, opaque)


def window_update(stream_id: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream_id, increment.to_bytes(4, "big"))


def rst_stream(stream_id: int, code: int) -> bytes:
    return frame(RST_STREAM, 0, stream_id, code.to_bytes(4, "big"))


def goaway(last_stream_id: int, code: int, reason: str = "") -> bytes:
    return frame(GOAWAY, 0, 0, struct.pack(">LL", last_stream_id, code) + reason.encode()[:256])


def headers(stream_id: int, block: bytes, *, ends_stream: bool, frame_size_bytes_max: int) -> bytes:
    """A header block as HEADERS and as many CONTINUATION frames as the peer's frame size makes necessary."""
    end = END_STREAM if ends_stream else 0
    if len(block) <= frame_size_bytes_max:
        return frame(HEADERS, END_HEADERS | end, stream_id, block)
    pieces = [block[at : at + frame_size_bytes_max] for at in range(0, len(block), frame_size_bytes_max)]
    written = [frame(HEADERS, end, stream_id, pieces[0])]
    written += [frame(CONTINUATION, 0, stream_id, piece) for piece in pieces[1:-1]]
    written.append(frame(CONTINUATION, END_HEADERS, stream_id, pieces[-1]))
    return b"".join(written)

"""One connection between two nodes: framed, proved, kept alive.

Both sides prove that they know the cluster's secret before anything else is read: each answers the other's nonce with a
keyed hash, and a nonce is used once. What is said after that is encrypted only where there are certificates (`tls.py`);
a network that others can read needs these, or a tunnel. A side that has nothing to say pings; one that has heard
nothing for `SILENCE_S` hangs up, so that a frozen or cut off node is noticed. What waits to be written is bounded: a
node that does not read is hung up on.

Owns bytes and time. Refuses to know what frames mean.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Final, cast

import msgspec

from broadaxe.errors import Unavailable
from broadaxe.link.wire import FRAME_SIZE_BYTES_MAX, MINOR, VERSION, Frame, Kind, Packed

__all__ = ["Connection"]

PING_EVERY_S: Final = 1.0
SILENCE_S: Final = 3.0
#: Bytes that may wait to be written.
WAITING_BYTES_MAX: Final = 256 * 1024 * 1024
#: How long the proof may take, and how large its messages may be.
PROOF_S: Final = 5.0
PROOF_SIZE_BYTES_MAX: Final = 1024
NONCE_BYTES: Final = 32
_LENGTH_BYTES: Final = 4
_encode: Final = msgspec.msgpack.Encoder().encode
_frames: Final = msgspec.msgpack.Decoder(Frame)


class _Hello(msgspec.Struct, frozen=True, array_like=True):
    version: int
    nonce: bytes
    proof: bytes = b""
    minor: int = 0
    """Nodes of before there were any say none."""
    caller: str = ""
    """Who calls, with the proof. Nodes of before it was said say none."""


class Connection(asyncio.Protocol):
    """`on_frame` is called for each frame, `on_end` once with the reason, `on_proved` once before any frame."""

    def __init__(self, secret: bytes, *, is_caller: bool, caller: str = "") -> None:
        """`caller` is who calls: the same whenever it does. Of who is called it is known once it is proved."""
        self._secret = secret
        self._is_caller = is_caller
        self.caller = caller
        self._nonce = secrets.token_bytes(NONCE_BYTES)
        self._peer_nonce = b""
        self.peer_minor = 0
        """What the other node understands beside this version."""
        self._is_proved = False
        self.proved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_proved: Callable[[], None] = lambda: None
        self.on_frame: Callable[[Frame], None] = lambda _: None
        self.on_end: Callable[[str], None] = lambda _: None
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._unsent: list[bytes] = []
        self._is_flushing = False
        self._has_ended = False
        self._reason = "the connection was closed"
        self._heard_at_s = asyncio.get_running_loop().time()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        return self._is_proved and not self._has_ended

    # Sending -------------------------------------------------------------------------------------------------------

    def post(
        self, kind: Kind, channel: int = 0, number: int = 0, packed: Packed = ("", b"\xc0"), client: str = ""
    ) -> None:
        """Sends a frame; those of one turn of the loop together. Dropped once the connection has ended."""
        if self._has_ended:
            return
        name, body = packed
        self._write(_encode(Frame(kind, channel, number, name, msgspec.Raw(body), client)))

    def _write(self, message: bytes) -> None:
        self._unsent.append(len(message).to_bytes(_LENGTH_BYTES, "big"))
        self._unsent.append(message)
        if not self._is_flushing:
            self._is_flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flushing = False
        if self._transport is None or self._has_ended:
            self._unsent.clear()
            return
        data = b"".join(self._unsent)
        self._unsent.clear()
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > WAITING_BYTES_MAX:
            self.close("the other node does not read")

    def close(self, reason: str) -> None:
        self._reason = reason
        if self._transport is not None:
            self._flush()
            self._transport.close()
        self._end()

    # Receiving -----------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not every loop's transports are of this type.
        self._transport = cast(asyncio.Transport, transport)
        if self._is_caller:
            self._write(_encode(_Hello(VERSION, self._nonce, minor=MINOR)))
        self._timer = asyncio.get_running_loop().call_later(PING_EVERY_S, self._look)

    def data_received(self, data: bytes) -> None:
        self._heard_at_s = asyncio.get_running_loop().time()
        buffer = self._buffer
        buffer += data
        position = 0
        size_max = FRAME_SIZE_BYTES_MAX if self._is_proved else PROOF_SIZE_BYTES_MAX
        while len(buffer) - position >= _LENGTH_BYTES and not self._has_ended:
            start = position + _LENGTH_BYTES
            size = int.from_bytes(buffer[position:start], "big")
            if size > size_max:
                self.close("the other node sent a frame that is too large")
                return
            if len(buffer) - start < size:
                break
            position = start + size
            try:
                self._take(bytes(buffer[start:position]))
            except msgspec.MsgspecError as error:
                self.close(f"the other node sent something that is no frame: {error}")
                return
            size_max = FRAME_SIZE_BYTES_MAX if self._is_proved else PROOF_SIZE_BYTES_MAX
        del buffer[:position]

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self._reason = str(exc)
        self._end()

    def _take(self, message: bytes) -> None:
        if not self._is_proved:
            self._prove(msgspec.msgpack.decode(message, type=_Hello))
            return
        frame = _frames.decode(message)
        if frame.kind is not Kind.PING:
            self.on_frame(frame)

    def _prove(self, hello: _Hello) -> None:
        if hello.version != VERSION:
            if not self._is_caller:
                # So that the other node can say why, too.
                self._write(_encode(_Hello(VERSION, self._nonce)))
            self.close(f"the other node speaks version {hello.version} of the link, this one {VERSION}")
            return
        self.peer_minor = hello.minor
        if not self._peer_nonce:
            self._peer_nonce = hello.nonce
            if not self._is_caller:
                # The caller's first message carries no proof: it has to see our nonce first.
                self._write(_encode(_Hello(VERSION, self._nonce, self._proof(by_caller=False), MINOR)))
                return
        if not hmac.compare_digest(hello.proof, self._proof(by_caller=not self._is_caller)):
            self.close("the other node does not know the secret of this cluster")
            return
        if self._is_caller:
            self._write(_encode(_Hello(VERSION, self._nonce, self._proof(by_caller=True), MINOR, self.caller)))
        else:
            self.caller = hello.caller
        self._is_proved = True
        if not self.proved.done():
            self.proved.set_result(None)
        self.on_proved()

    def _proof(self, *, by_caller: bool) -> bytes:
        caller, callee = (self._nonce, self._peer_nonce) if self._is_caller else (self._peer_nonce, self._nonce)
        side = b"caller" if by_caller else b"callee"
        return hmac.digest(self._secret, side + caller + callee, hashlib.sha256)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        patience_s = SILENCE_S if self._is_proved else PROOF_S
        if loop.time() - self._heard_at_s > patience_s:
            self.close(f"nothing was heard of the other node for {patience_s:.0f} s")
            return
        if self._is_proved:
            self.post(Kind.PING)
        self._timer = loop.call_later(PING_EVERY_S, self._look)

    def _end(self) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        if self._timer is not None:
            self._timer.cancel()
        if not self.proved.done():
            self.proved.set_exception(Unavailable(self._reason))
            # Nobody may be waiting for it.
            self.proved.exception()
        self.on_end(self._reason)

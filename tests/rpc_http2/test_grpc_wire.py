"""What gRPC puts into HTTP/2: messages, deadlines, metadata, trailers."""

from __future__ import annotations

import base64
import gzip
import random
import urllib.parse
import zlib

import pytest
from hpack import Decoder

from broadaxe.rpc.http2 import grpc
from broadaxe.rpc.http2.headers import Head
from broadaxe.rpc.transport import RECEIVE_SIZE_BYTES_MAX, Code, RpcError


def read(
    *fields: tuple[bytes, bytes], method: bytes = b"POST", content_type: bytes = b"application/grpc"
) -> grpc.Request:
    return grpc.read_request(Head(method, b"/s/m", ((b"content-type", content_type), *fields), None))


def decoded(block: bytes) -> dict[bytes, bytes]:
    return {bytes(name): bytes(value) for name, value in Decoder().decode(block, raw=True)}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"1H", 3600),
        (b"2M", 120),
        (b"30S", 30),
        (b"1500m", 1.5),
        (b"250u", 250e-6),
        (b"99999999n", 0.099999999),
        (b"0S", 0),
    ],
)
def test_every_unit_of_a_timeout(value: bytes, seconds: float) -> None:
    assert read((b"grpc-timeout", value)).timeout_s == pytest.approx(seconds)


def test_a_timeout_of_years_is_none() -> None:
    assert read((b"grpc-timeout", b"99999999H")).timeout_s is None


@pytest.mark.parametrize(
    "value", [b"", b"1", b"S", b"-1S", b"1.5S", b"123456789S", b"1 S", b"1D", "\N{ARABIC-INDIC DIGIT ONE}S".encode()]
)
def test_a_timeout_that_is_none_is_named(value: bytes) -> None:
    fault = read((b"grpc-timeout", value)).fault
    assert isinstance(fault, RpcError) and fault.code is Code.INVALID_ARGUMENT and "grpc-timeout" in fault.message


def test_metadata_leaves_out_what_belongs_to_the_call() -> None:
    request = read(
        (b"te", b"trailers"),
        (b"grpc-timeout", b"1S"),
        (b"grpc-encoding", b"gzip"),
        (b"grpc-accept-encoding", b"gzip"),
        (b"user-agent", b"ua"),
        (b"k", b"one"),
        (b"k", b" two "),
    )
    assert dict(request.metadata) == {"user-agent": "ua", "k": "two"}
    assert request.encoding == "gzip"


@pytest.mark.parametrize("size", range(6))
def test_binary_metadata_is_read_with_and_without_padding(size: int) -> None:
    value = bytes(range(250, 250 + size))
    padded = base64.b64encode(value)
    for text in (padded, padded.rstrip(b"="), b"AAAA," + padded):
        assert read((b"x-bin", text)).metadata["x-bin"] == value


def test_binary_metadata_that_is_not_base64_is_named() -> None:
    fault = read((b"x-bin", b"%%%")).fault
    assert isinstance(fault, RpcError) and "x-bin" in fault.message


def test_metadata_cannot_be_changed_for_the_next_call() -> None:
    with pytest.raises(TypeError):
        read((b"k", b"v")).metadata["k"] = "w"  # type: ignore[index]


@pytest.mark.parametrize(
    "content_type", [b"application/grpc", b"application/grpc+proto", b"application/grpc;charset=utf-8"]
)
def test_content_types_of_grpc(content_type: bytes) -> None:
    assert read(content_type=content_type).fault is None


@pytest.mark.parametrize(
    "content_type", [b"", b"text/plain", b"application/json", b"application/grpc-web", b"application/grpcx"]
)
def test_content_types_that_are_not_grpc(content_type: bytes) -> None:
    fault = read(content_type=content_type).fault
    assert isinstance(fault, grpc.NotGrpc) and fault.status == 415


def test_a_get_request_is_told_to_post() -> None:
    fault = read(method=b"GET").fault
    assert isinstance(fault, grpc.NotGrpc) and fault.status == 405
    headers, body = grpc.plain_response(fault)
    assert decoded(headers)[b"allow"] == b"POST"
    assert decoded(headers)[b"content-length"] == str(len(body)).encode()


def test_an_unknown_encoding_is_answered_with_those_we_know() -> None:
    fault = read((b"grpc-encoding", b"zstd")).fault
    assert isinstance(fault, RpcError) and fault.code is Code.UNIMPLEMENTED
    trailers = decoded(grpc.trailers_only(fault, 8192))
    assert trailers[b"grpc-accept-encoding"] == b"identity,gzip,deflate"


# Messages ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(30))
def test_messages_come_out_however_the_body_is_cut(seed: int) -> None:
    chance = random.Random(seed)
    messages = [chance.randbytes(chance.choice((0, 1, 4, 5, 6, 100, 20_000))) for _ in range(20)]
    flags = [chance.random() < 0.3 for _ in messages]
    body = b"".join(bytes((flag,)) + len(m).to_bytes(4, "big") + m for flag, m in zip(flags, messages, strict=True))
    reader, out = grpc.MessageReader(), []
    while body:
        size = chance.choice((1, 3, 5, 50, 5_000, 40_000))
        piece, body = body[:size], body[size:]
        out += reader.feed(piece)
    assert out == list(zip(flags, messages, strict=True))
    assert reader.partial_size_bytes == 0
    assert grpc.MessageReader().feed(grpc.write_message(b"one")) == [(False, b"one")]


def test_a_message_too_large_is_refused_from_its_first_bytes() -> None:
    with pytest.raises(RpcError) as caught:
        grpc.MessageReader().feed(b"\0" + (RECEIVE_SIZE_BYTES_MAX + 1).to_bytes(4, "big"))
    assert caught.value.code is Code.RESOURCE_EXHAUSTED


def test_a_body_that_is_no_message_is_refused() -> None:
    with pytest.raises(RpcError):
        grpc.MessageReader().feed(b"GET / HTTP/1.1\r\n")


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_compressed_messages(encoding: str, compress) -> None:  # type: ignore[no-untyped-def]
    for message in (b"", b"x", b"x" * 1_000_000, b"x" * RECEIVE_SIZE_BYTES_MAX):
        assert grpc.decompress(compress(message), encoding) == message


def test_a_bomb_is_refused_before_it_has_unfolded() -> None:
    with pytest.raises(RpcError) as caught:
        grpc.decompress(gzip.compress(b"\0" * 200_000_000), "gzip")
    assert caught.value.code is Code.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    "broken", [b"", b"nonsense", gzip.compress(b"message", mtime=0)[:-4], zlib.compress(b"message")]
)
def test_a_message_that_is_not_gzip_is_refused(broken: bytes) -> None:
    with pytest.raises(RpcError) as caught:
        grpc.decompress(broken, "gzip")
    assert caught.value.code is Code.INTERNAL


def test_a_compressed_message_without_an_encoding_is_refused() -> None:
    with pytest.raises(RpcError):
        grpc.decompress(b"", "identity")


# Trailers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["plain", "100 %", "naïve \N{AXE}", "line\nbreak\0", "%41", "\ud800 alone", "~ }"])
def test_status_messages_survive_the_header_block(text: str) -> None:
    message = decoded(grpc.error_trailers(RpcError(Code.ABORTED, text), 8192))[b"grpc-message"]
    assert message.isascii() and message.decode().isprintable()
    assert urllib.parse.unquote(message.decode()) == text.encode("utf-8", "replace").decode()


def test_a_long_status_message_is_cut_between_characters() -> None:
    message = decoded(grpc.error_trailers(RpcError(Code.ABORTED, "\N{AXE}" * 10_000), 8192))[b"grpc-message"]
    assert 5_000 < len(message) <= 6_000
    assert set(urllib.parse.unquote(message.decode(), errors="strict")) == {"\N{AXE}"}


@pytest.mark.parametrize("limit", [0, 100, 512, 8_192, 65_536])
def test_trailers_never_exceed_what_the_client_accepts(limit: int) -> None:
    trailing = (("a-bin", b"x" * 300), ("b-bin", b"x" * 30_000), ("c", "short"))
    error = RpcError(Code.ALREADY_EXISTS, "m" * 1_000, trailing)
    for write in (grpc.error_trailers, grpc.trailers_only):
        fields = decoded(write(error, limit))
        assert fields[b"grpc-status"] == b"6"
        assert sum(len(name) + len(value) + 32 for name, value in fields.items()) <= max(limit, 192)


def test_trailing_metadata_is_encoded() -> None:
    trailing = (("detail-bin", b"\x00\x01"), ("text", "plain"), ("odd", "a\nb\N{AXE}"))
    fields = decoded(grpc.error_trailers(RpcError(Code.ABORTED, "", trailing), 8192))
    assert fields == {b"grpc-status": b"10", b"detail-bin": b"AAE", b"text": b"plain", b"odd": b"a?b?"}


def test_a_trailing_key_that_cannot_be_sent_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="Detail"):
        grpc.error_trailers(RpcError(Code.ABORTED, "", (("Detail", "v"),)), 8192)

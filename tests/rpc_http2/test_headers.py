"""HPACK behind its memory: it never tells anything a plain decoder would not, and it does remember."""

from __future__ import annotations

import random

import pytest
from hpack import Decoder, Encoder, NeverIndexedHeaderTuple

from broadaxe.rpc.http2.headers import (
    REMEMBERED_BLOCKS_MAX,
    CompressionBroken,
    Head,
    HeaderDecoder,
    HeaderListTooLarge,
    Malformed,
    write_block,
)

REQUEST = ((b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/a/b"), (b":authority", b"h"))


def encoded(*fields: tuple[bytes, bytes], encoder: Encoder | None = None) -> bytes:
    return (encoder or Encoder()).encode([*REQUEST, *fields])


def told(head: Head | Malformed) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
    assert isinstance(head, Head), head
    return head.path, head.fields


@pytest.mark.parametrize("seed", range(40))
def test_memory_tells_what_a_plain_decoder_tells(seed: int) -> None:
    """Clients of every temper: fields indexed or not, tables small and resized, blocks old and new."""
    chance = random.Random(seed)
    encoder, plain, remembering = Encoder(), Decoder(), HeaderDecoder(65_536)
    pool = [(b"k%d" % chance.randrange(8), b"v" * chance.randrange(1, 40)) for _ in range(12)]
    paths = [b"/s/m%d" % n for n in range(4)]
    # How likely a field is new to the client, so that its table changes.
    novelty = chance.choice((0.0, 0.02, 0.3))
    for _ in range(400):
        if chance.random() < 0.02:
            encoder.header_table_size = chance.choice((0, 40, 100, 300, 4096))
        fields = chance.sample(pool, chance.randrange(5))
        if chance.random() < novelty:
            fields.append((b"new", b"%d" % chance.randrange(10**6)))
        written: list[tuple[bytes, bytes]] = [
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", chance.choice(paths)),
            *(NeverIndexedHeaderTuple(*each) if chance.random() < 0.2 else each for each in fields),
        ]
        block = encoder.encode(written, huffman=chance.random() < 0.5)
        expected = [(bytes(name), bytes(value)) for name, value in plain.decode(block, raw=True)]
        assert told(remembering.request(block)) == (expected[2][1], tuple(expected[3:]))
    assert remembering.hits + remembering.misses == 400


#: Literal fields that leave the table alone, then what the test is about.
INSERTS_ONE = write_block(REQUEST) + b"\x40\x01k\x03one"
INSERTS_TWO = write_block(REQUEST) + b"\x40\x01k\x03two"
REFERS_TO_NEWEST = write_block(REQUEST) + b"\xbe"
REFERS_TO_SECOND_NEWEST = write_block(REQUEST) + b"\xbf"


def last_field(head: Head | Malformed) -> tuple[bytes, bytes]:
    return told(head)[1][-1]


def test_block_that_refers_to_the_table_is_read_anew_after_the_table_changed() -> None:
    decoder = HeaderDecoder(65_536)
    decoder.request(INSERTS_ONE)
    assert last_field(decoder.request(REFERS_TO_NEWEST)) == (b"k", b"one")
    assert last_field(decoder.request(REFERS_TO_NEWEST)) == (b"k", b"one")
    assert decoder.hits == 1
    # The same bytes now mean another field.
    decoder.request(INSERTS_TWO)
    assert last_field(decoder.request(REFERS_TO_NEWEST)) == (b"k", b"two")


def test_block_that_inserts_is_executed_each_time() -> None:
    decoder = HeaderDecoder(65_536)
    decoder.request(INSERTS_TWO)
    decoder.request(INSERTS_ONE)
    decoder.request(INSERTS_ONE)
    assert last_field(decoder.request(REFERS_TO_SECOND_NEWEST)) == (b"k", b"one")
    assert decoder.hits == 0


def test_table_that_was_shrunk_and_grown_again_is_a_changed_table() -> None:
    decoder = HeaderDecoder(65_536)
    decoder.request(INSERTS_ONE)
    decoder.request(REFERS_TO_NEWEST)
    decoder.request(b"\x20\x3f\xe1\x1f" + write_block(REQUEST))
    with pytest.raises(CompressionBroken):
        decoder.request(REFERS_TO_NEWEST)


def test_trailers_that_change_the_table_are_noticed() -> None:
    decoder = HeaderDecoder(65_536)
    decoder.request(INSERTS_ONE)
    decoder.request(REFERS_TO_NEWEST)
    assert decoder.trailers(b"\x40\x01k\x03two") is None
    assert last_field(decoder.request(REFERS_TO_NEWEST)) == (b"k", b"two")


def test_repeated_head_is_the_same_object() -> None:
    encoder, decoder = Encoder(), HeaderDecoder(65_536)
    decoder.request(encoded(encoder=encoder))
    again = encoded(encoder=encoder)
    assert decoder.request(again) is decoder.request(again)


def test_memory_is_bounded() -> None:
    decoder = HeaderDecoder(65_536)
    for number in range(REMEMBERED_BLOCKS_MAX * 3):
        decoder.request(write_block([*REQUEST, (b"k", b"%d" % number)]))
        assert len(decoder._remembered) <= REMEMBERED_BLOCKS_MAX
    decoder = HeaderDecoder(65_536)
    decoder.request(write_block([*REQUEST, (b"k", b"x" * 5_000)]))
    assert not decoder._remembered


@pytest.mark.parametrize(
    "block",
    [
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xc5",
        b"\x80",
        b"\x40\x05ab",
        b"\x3f\xe2\x1f",
        b"\x40\x81\xff\x01a",
        b"\x00",
    ],
    ids=["endless integer", "no such index", "index zero", "cut off", "table too large", "bad huffman", "no name"],
)
def test_undecodable_block_breaks_the_compression(block: bytes) -> None:
    with pytest.raises(CompressionBroken):
        HeaderDecoder(65_536).request(block)


def test_header_list_beyond_the_bound_is_named() -> None:
    bomb = write_block([*REQUEST, (b"k", b"x" * 60_000)]) + b"\x40\x01a\x7f\xa1\x1e" + b"y" * 4000 + b"\xbe" * 10
    with pytest.raises(HeaderListTooLarge):
        HeaderDecoder(65_536).request(bomb)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (REQUEST[1:], ":method"),
        (REQUEST[:1] + REQUEST[2:], ":scheme"),
        (REQUEST[:2], ":path"),
        ((*REQUEST[:2], (b":path", b"")), ":path"),
        ((*REQUEST[:2], (b":path", b"a/b")), "slash"),
        ((*REQUEST, (b":path", b"/c")), "twice"),
        ((*REQUEST, (b":status", b"200")), "unknown"),
        ((*REQUEST, (b"k", b"v"), (b":authority", b"h")), "after a regular"),
        ((*REQUEST, (b"Key", b"v")), "lower-case"),
        ((*REQUEST, (b"", b"v")), "not allowed"),
        ((*REQUEST, (b"k", b"a\r\nb: c")), "control"),
        ((*REQUEST, (b"k", b"a\0")), "control"),
        ((*REQUEST[:2], (b":path", b"/a\n")), "control"),
        ((*REQUEST, (b"connection", b"close")), "no place"),
        ((*REQUEST, (b"transfer-encoding", b"chunked")), "no place"),
        ((*REQUEST, (b"te", b"gzip")), "te may only"),
        ((*REQUEST, (b"content-length", b"-1")), "content-length"),
        ((*REQUEST, (b"content-length", b"1"), (b"content-length", b"2")), "content-length"),
    ],
)
def test_malformed_request_says_why(fields: tuple[tuple[bytes, bytes], ...], reason: str) -> None:
    head = HeaderDecoder(65_536).request(write_block(fields))
    assert isinstance(head, Malformed)
    assert reason in head


def test_te_trailers_and_one_content_length_are_fine() -> None:
    head = HeaderDecoder(65_536).request(write_block([*REQUEST, (b"te", b"trailers"), (b"content-length", b"12")]))
    assert isinstance(head, Head)
    assert head.content_length == 12


@pytest.mark.parametrize("length", [0, 1, 126, 127, 128, 254, 255, 256, 16_383, 40_000])
def test_written_blocks_are_read_by_a_plain_decoder_and_leave_its_table_alone(length: int) -> None:
    decoder = Decoder()
    fields = [(b":status", b"200"), (b"k", b"v" * length)]
    assert [tuple(each) for each in decoder.decode(write_block(fields), raw=True)] == fields
    assert not decoder.header_table.dynamic_entries

"""What reaches the log of an engine, and what is kept out of it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import hpack
import pytest
import structlog

from broadaxe import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Logging set up on a stream; whatever was set up before is put back."""
    root = logging.getLogger()
    before, level = root.handlers, root.level
    yield io.StringIO()
    root.handlers = before
    root.setLevel(level)
    structlog.reset_defaults()
    for name in (*logs.QUIET_LIBRARIES, *logs.SILENT_LIBRARIES, *logs.TALKATIVE_LIBRARIES):
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_record_is_one_line_even_with_a_stack_trace(stream: io.StringIO) -> None:
    logs.configure("info", "json", stream)
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("somewhere").exception("it failed")
    structlog.get_logger("broadaxe").info("ready", port=7077)
    failed, ready = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert failed["event"] == "it failed" and "ValueError: why" in failed["exception"]
    assert (ready["event"], ready["port"], ready["level"]) == ("ready", 7077, "info")


def test_the_pools_traces_of_a_lost_database_are_kept_out_but_not_its_errors(stream: io.StringIO) -> None:
    logs.configure("info", "json", stream)
    pool = logging.getLogger("asyncpg.pool")
    pool.warning("Failed to restore the pool connection floor", exc_info=ConnectionRefusedError())
    pool.error("worse")
    logging.getLogger("asyncpg").warning("heard")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["worse", "heard"]


def test_no_level_shows_the_tokens_in_headers(stream: io.StringIO) -> None:
    logs.configure("debug", "json", stream)
    decoder, encoder = hpack.Decoder(), hpack.Encoder()
    assert decoder.decode(encoder.encode([("authorization", "bearer a-secret")]))
    assert "a-secret" not in stream.getvalue()


def test_debug_level_keeps_nothing_else_out(stream: io.StringIO) -> None:
    logs.configure("debug", "json", stream)
    logging.getLogger("asyncpg.pool").warning("heard")
    assert "heard" in stream.getvalue()

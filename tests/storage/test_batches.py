"""The buffer in front of a table outlives whatever its statement raises."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest

from broadaxe.storage import batches
from broadaxe.storage.batches import BatchWriter


class Row:
    size_bytes = 10


@pytest.mark.parametrize("error", [asyncpg.InternalClientError("a connection died"), RuntimeError("a mistake of ours")])
async def test_a_batch_that_fails_in_an_unknown_way_is_tried_again(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "RETRY_AFTER_S", 0.0)
    failures = [error]
    stored: list[Row] = []

    async def insert(rows: Sequence[Row]) -> None:
        if failures:
            raise failures.pop()
        stored.extend(rows)

    writer = BatchWriter("rows", insert)
    writer.start()
    first, second = Row(), Row()
    writer.add(first)
    async with asyncio.timeout(10):
        await writer.flush()
        writer.add(second)
        await writer.flush()
        await writer.stop()
    assert stored == [first, second]
    assert writer.dropped == 0

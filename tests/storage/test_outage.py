"""What is an outage, told apart by what PostgreSQL really says."""

from __future__ import annotations

from urllib.parse import urlsplit

import asyncpg
import pytest

from broadaxe.storage.outage import OUTAGE


async def test_a_database_that_takes_nobody_for_now_is_away(database: str, postgres: str) -> None:
    name = urlsplit(database).path.removeprefix("/")
    admin = await asyncpg.connect(postgres)
    try:
        await admin.execute(f"alter database {name} allow_connections false")
        with pytest.raises(OUTAGE):
            await asyncpg.connect(database)
    finally:
        await admin.close()

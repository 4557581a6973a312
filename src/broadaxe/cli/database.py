"""A database for commands that need one for a moment: the given one, or the embedded one of the data directory."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from broadaxe.config import Settings
from broadaxe.errors import ConfigurationError

__all__ = ["reachable_dsn"]


@contextlib.asynccontextmanager
async def reachable_dsn(settings: Settings) -> AsyncIterator[str]:
    """A DSN that accepts connections inside the block. Attaches to a running engine's PostgreSQL or starts it."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    if not (settings.postgres_dir / "cluster").exists():
        # Otherwise a typing error in --data-dir would silently create an empty database.
        raise ConfigurationError(
            f"there is no database in {settings.data_dir}; start `broadaxe dev` there once, "
            "or give --database-url or --data-dir",
            field="--data-dir",
        )
    from broadaxe.storage.embedded import EmbeddedPostgres

    async with await EmbeddedPostgres.start(settings.postgres_dir) as server:
        yield server.dsn

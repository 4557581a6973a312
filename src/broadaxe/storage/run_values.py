"""What runs say of themselves while they run: values by name, set in applications' own transactions or here.

Read from the server that is written to, so that whoever was answered finds what was set. Owns the bounds of names and
values, which the SQL functions have as well; refuses to know what a value means.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import asyncpg
import msgspec

from broadaxe.errors import InvalidArgument, NotFound
from broadaxe.storage.pages import ByKey, Page, page_of_rows
from broadaxe.storage.statements import statement

__all__ = ["NAME_BYTES_MAX", "SHOWN_BYTES_MAX", "RunValue", "read_value", "set_value", "values_page"]

#: Of the name of a value; the value itself has the bound of every JSON text that is stored.
NAME_BYTES_MAX: Final = 1_024
#: Of a value in a list; larger ones are read one by one.
SHOWN_BYTES_MAX: Final = 16 * 1024


class RunValue(msgspec.Struct, frozen=True):
    name: str
    set_at: datetime
    value: str | None
    """JSON text; None of one that is too large for a list."""


async def values_page(
    pool: asyncpg.Pool, tenant_id: str, run_id: str, *, limit: int, after: ByKey | None
) -> Page[RunValue, ByKey]:
    """In the order of their names."""
    name = None if after is None else after.key
    rows = await pool.fetch(statement("values/list"), tenant_id, run_id, limit, name, SHOWN_BYTES_MAX)
    return page_of_rows(rows, [RunValue(*row) for row in rows], limit, lambda row: ByKey(row["name"]))


async def read_value(pool: asyncpg.Pool, tenant_id: str, run_id: str, name: str) -> RunValue | None:
    row = await pool.fetchrow(statement("values/one"), tenant_id, run_id, name)
    return None if row is None else RunValue(*row)


async def set_value(pool: asyncpg.Pool, tenant_id: str, run_id: str, name: str, value: str) -> None:
    """Replaces what was said under the name. InvalidArgument for a name without letters or that is too long, and for
    numbers beyond PostgreSQL's; NotFound if the tenant has no such run."""
    size_bytes = len(name.encode())
    if not 0 < size_bytes <= NAME_BYTES_MAX:
        raise InvalidArgument(f"a name has 1 to {NAME_BYTES_MAX} bytes, not {size_bytes}", field="name")
    try:
        await pool.execute(statement("values/set"), run_id, name, value, tenant_id)
    except asyncpg.UndefinedObjectError:
        raise NotFound(f"there is no run {run_id}", field="run") from None
    except (asyncpg.DataError, asyncpg.ProgramLimitExceededError) as error:
        raise InvalidArgument(f"PostgreSQL cannot store this value: {error}", field="value") from None

"""The SQL statements of the chat, read from `sql/` by name."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def query(name: str) -> str:
    """The statement in `sql/<name>.sql`."""
    return files("rag_chat").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")

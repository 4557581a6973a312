"""The SQL of this package by name: one statement per file under `queries/`.

What several statements have in common, such as the filter of a list and of its count, stands once in a folder `parts`
beside them. They name it with `\\ir parts/<name>.sql`, which is how `psql` includes a file as well. Parts are
conditions and no statements of their own; their parameters are those of whoever names them.

Our tables are in the schema `broadaxe`, and every text names it. Where a database has them in a schema of another name,
`use_schema` says so before anything is asked; a process works with one.

Owns finding a statement's text, and the schema's name in it. Refuses names that are not there, at the first use.
Invariants: a text is read once per process and never changed; parameters are the only thing that varies.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final

from broadaxe.config import DEFAULT_DATABASE_SCHEMA

__all__ = ["in_schema", "like_escaped", "schema_in_use", "statement", "use_schema"]

_PART: Final = re.compile(r"^( *)\\ir (\S+)\.sql$", re.MULTILINE)
#: The schema's name where SQL means the schema: `broadaxe.run`, `schema broadaxe`, `to_regnamespace('broadaxe')`.
_SCHEMA: Final = re.compile(
    rf"(?<![\w-]){DEFAULT_DATABASE_SCHEMA}(?=\.[a-z_%])|(?<=schema ){DEFAULT_DATABASE_SCHEMA}\b"
    rf"|(?<='){DEFAULT_DATABASE_SCHEMA}(?=')"
)
_schema = DEFAULT_DATABASE_SCHEMA


def use_schema(name: str) -> None:
    """From now on our tables are in this schema, for the whole process. The name has no quotes in it."""
    global _schema
    if name != _schema:
        _schema = name
        statement.cache_clear()


def schema_in_use() -> str:
    """The name of the schema of our tables."""
    return _schema


def in_schema(text: str) -> str:
    """SQL that names our schema `broadaxe`, with the name that it has here."""
    return text if _schema == DEFAULT_DATABASE_SCHEMA else _SCHEMA.sub(f'"{_schema}"', text)


@cache
def statement(name: str) -> str:
    """The text of `queries/<name>.sql`, header comment and parts included: `statement("reads/run_list")`."""
    folder = name.rpartition("/")[0]
    text = files(__package__).joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")
    return in_schema(_PART.sub(lambda found: _indented(statement(f"{folder}/{found[2]}"), by=found[1]), text))


def like_escaped(text: str) -> str:
    """The text as a part of a pattern of `like`, in which it stands for itself."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _indented(text: str, by: str) -> str:
    return "\n".join(by + line if line else line for line in text.rstrip("\n").split("\n"))

"""The SQL of this package by name: one statement per file under `queries/`.

Owns finding a statement's text. Refuses names that are not there, at the first use. Invariants: a text is read once per
process and never changed or assembled; parameters are the only thing that varies.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["statement"]


@cache
def statement(name: str) -> str:
    """The text of `queries/<name>.sql`, header comment included: `statement("reads/run_list")`."""
    return files(__package__).joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")

"""The SQL of this package by name: one statement per file under `queries/`.

What several statements have in common, such as the filter of a list and of its count, stands once in a folder `parts`
beside them. They name it with `\\ir parts/<name>.sql`, which is how `psql` includes a file as well. Parts are
conditions and no statements of their own; their parameters are those of whoever names them.

Owns finding a statement's text. Refuses names that are not there, at the first use. Invariants: a text is read once per
process and never changed; parameters are the only thing that varies.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final

__all__ = ["like_escaped", "statement"]

_PART: Final = re.compile(r"^( *)\\ir (\S+)\.sql$", re.MULTILINE)


@cache
def statement(name: str) -> str:
    """The text of `queries/<name>.sql`, header comment and parts included: `statement("reads/run_list")`."""
    folder = name.rpartition("/")[0]
    text = files(__package__).joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")
    return _PART.sub(lambda found: _indented(statement(f"{folder}/{found[2]}"), by=found[1]), text)


def like_escaped(text: str) -> str:
    """The text as a part of a pattern of `like`, in which it stands for itself."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _indented(text: str, by: str) -> str:
    return "\n".join(by + line if line else line for line in text.rstrip("\n").split("\n"))

"""Statements by name: what several have in common stands once, in a part they name."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from broadaxe.storage import statements
from broadaxe.storage.statements import statement

QUERIES = Path(statements.__file__).parent / "queries"
NAMES = [str(path.relative_to(QUERIES).with_suffix("")) for path in sorted(QUERIES.rglob("*.sql"))]
PARTS = [name for name in NAMES if "/parts/" in name]
PART = re.compile(r"^ *\\ir (?:parts/)?(\w+)\.sql$", re.MULTILINE)


def test_a_part_takes_the_place_of_its_name() -> None:
    text = statement("reads/run_count")
    assert "\\ir" not in text
    for condition in ("r.tenant_id = $1", "r.triggering_event_id = $10", "live.status = 'EVICTED'"):
        assert text.count(condition) == 1


@pytest.mark.parametrize("name", NAMES)
def test_every_file_says_what_it_is_and_every_part_is_there(name: str) -> None:
    text = statement(name)
    assert "\n-- " in "\n" + text[:300]
    assert re.search(r"^ *\\ir ", text, re.MULTILINE) is None


def test_a_part_is_shared() -> None:
    uses = Counter(
        found for name in NAMES for found in PART.findall((QUERIES / f"{name}.sql").read_text(encoding="utf-8"))
    )
    assert {name.rpartition("/")[2] for name in PARTS} == uses.keys()
    assert [part for part, count in uses.items() if count < 2] == []

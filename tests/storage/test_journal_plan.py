"""The journal's statement finds each row by its id, however young the database is and whatever its statistics say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import asyncpg

from broadaxe.storage.journal import CONNECTION_SETTINGS
from broadaxe.storage.statements import statement


def _scans(plan: dict[str, Any], under: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if plan["Node Type"] == "ModifyTable" and plan["Operation"] == "Update":
        under = plan["Alias"]
    if "Relation Name" in plan and plan["Node Type"].endswith("Scan") and under:
        yield under, plan
    for child in plan.get("Plans", []):
        yield from _scans(child, under)


async def test_rows_are_updated_by_their_id(database: str) -> None:
    settings = {name: str(value) for name, value in CONNECTION_SETTINGS.items()}
    text = statement("journal/commit_runs")
    places = len(set(re.findall(r"\$\d+", text)))
    connection = await asyncpg.connect(database, server_settings=settings)
    try:
        await connection.execute(f"prepare journal as {text}")
        arguments = ", ".join(["null"] * places)
        plan = json.loads(await connection.fetchval(f"explain (format json) execute journal({arguments})"))
    finally:
        await connection.close()
    updated = [
        (alias, scan) for alias, scan in _scans(plan[0]["Plan"]) if re.match("(run|task)_", scan["Relation Name"])
    ]
    assert {alias for alias, _ in updated} == {"r", "t"}
    for _, scan in updated:
        assert re.search(r"\(id = n\w*\.id\)", scan.get("Index Cond", "")), scan

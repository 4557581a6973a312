"""What runs say of themselves, as those read and set it who have no SQL."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from broadaxe.storage import run_values
from broadaxe.storage.ids import new_id
from tests.rest.conftest import Site


def _values(run_id: str, name: str | None = None) -> str:
    return f"/api/v1/stable/workflow-runs/{run_id}/values" + ("" if name is None else f"/{quote(name, safe='/')}")


async def _set(site: Site, run_id: str, name: str, value: object) -> dict[str, Any]:
    answer = await site.client.put(_values(run_id, name), content=json.dumps(value))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def _list(site: Site, run_id: str, **asked: Any) -> dict[str, Any]:
    answer = await site.client.get(_values(run_id), params=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_the_last_word_under_a_name_counts_whoever_said_it(site: Site) -> None:
    run_id = await site.seeds.run(await site.seeds.single(), task={})
    assert (await _list(site, run_id))["rows"] == []
    assert (await _set(site, run_id, "progress", {"done": 1, "of": 3}))["value"] == {"done": 1, "of": 3}
    # An application says it in a transaction of its own.
    said = "select broadaxe.set_value($1, 'progress', '{\"done\": 2, \"of\": 3}', $2)"
    await site.seeds.pool.execute(said, run_id, site.seeds.tenant_id)
    odd = "a/b c?ä#%"
    for value in (None, [1, "zwei"]):
        await _set(site, run_id, odd, value)
    rows = (await _list(site, run_id))["rows"]
    assert [(row["name"], row["value"], row["isShown"]) for row in rows] == [
        (odd, [1, "zwei"], True),
        ("progress", {"done": 2, "of": 3}, True),
    ]
    assert (await site.client.get(_values(run_id, odd))).json() == rows[0]


async def test_values_come_in_pages_and_large_ones_by_name(site: Site) -> None:
    run_id = await site.seeds.run(await site.seeds.single(), task={})
    # The second is large as it is stored, the third only as text.
    large, squeezed = [new_id() for _ in range(1_000)], "x" * run_values.SHOWN_BYTES_MAX
    for name, value in (("1", 1), ("2", large), ("3", squeezed), ("4", None)):
        await _set(site, run_id, name, value)
    first = await _list(site, run_id, limit=3)
    assert [(row.get("value"), row["isShown"]) for row in first["rows"]] == [(1, True), (None, False), (None, False)]
    second = await _list(site, run_id, limit=3, cursor=first["pagination"]["next_cursor"])
    assert [(row["name"], row.get("value"), row["isShown"]) for row in second["rows"]] == [("4", None, True)]
    assert "next_cursor" not in second["pagination"]
    assert (await site.client.get(_values(run_id, "2"))).json()["value"] == large


async def test_what_is_beyond_a_reader_is_shown_as_text(site: Site) -> None:
    run_id = await site.seeds.run(await site.seeds.single(), task={})
    deep = b"[" * 300 + b"]" * 300
    assert (await site.client.put(_values(run_id, "deep"), content=deep)).status_code == 200
    exact = "0.12345678901234567890"
    assert (await site.client.put(_values(run_id, "exact"), content=exact)).status_code == 200
    # SQL has neither bound.
    for name, text in (("deeper", "[" * 3_000 + "]" * 3_000), ("huge", "1e5000")):
        said = "select broadaxe.set_value($1, $2, $3::text::jsonb, $4)"
        await site.seeds.pool.execute(said, run_id, name, text, site.seeds.tenant_id)
    rows = {row["name"]: row["value"] for row in (await _list(site, run_id))["rows"]}
    assert rows["deeper"] == "[" * 3_000 + "]" * 3_000 and rows["huge"] == "1" + "0" * 5_000
    assert json.dumps(rows["deep"]).count("[") == 300
    stored = await site.seeds.pool.fetchval("select value::text from broadaxe.run_value where name = 'exact'")
    assert stored == exact


@pytest.mark.parametrize(
    ("name", "body", "field"),
    [
        pytest.param("ä" * 513, b"1", "name", id="long-name"),
        pytest.param("n", b"", "value", id="nothing"),
        pytest.param("n", b"{", "value", id="no-json"),
        pytest.param("n", b"[" * 100_000, "value", id="deep"),
        pytest.param("n", b'"a\\u0000b"', "value", id="nul"),
        pytest.param("n", b"1e999", "value", id="infinite"),
        pytest.param("n", json.dumps("x" * 4 * 1024 * 1024).encode(), "value", id="large"),
    ],
)
async def test_what_cannot_be_said_is_refused_by_name(site: Site, name: str, body: bytes, field: str) -> None:
    run_id = await site.seeds.run(await site.seeds.single(), task={})
    answer = await site.client.put(_values(run_id, name), content=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["field"] == field
    assert (await _list(site, run_id))["rows"] == []


async def test_a_value_of_nobody_and_a_run_of_others_are_not_found(site: Site) -> None:
    run_id = await site.seeds.run(await site.seeds.single(), task={})
    nothing = await site.client.get(_values(run_id, "nothing"))
    assert (nothing.status_code, nothing.json()["errors"][0]["field"]) == (404, "name")
    assert (await site.client.put(_values(new_id(), "n"), json=1)).status_code == 404
    theirs = await site.anonymous.put(_values(run_id, "n"), json=1, headers=await site.stranger())
    assert theirs.status_code == 404
    assert (await _list(site, run_id))["rows"] == []

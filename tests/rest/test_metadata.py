"""Metadata filters compare texts: a JSON value that is no string counts as the text it is written as."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from broadaxe.core.definition import TaskSpec

if TYPE_CHECKING:
    from .conftest import Site

METADATA = {"text": "5", "number": 5, "half": 1.50, "flag": True, "object": {"a": 1}, "list": [1, "x"], "colon": "a:b"}

#: (pairs, whether any of them fits, whether all of them do)
PAIRS: list[tuple[list[str], bool, bool]] = [
    (["text:5"], True, True),
    (["number:5"], True, True),
    (["number:5.0"], False, False),
    (["number:05"], False, False),
    (["half:1.5"], True, True),
    (["flag:true"], True, True),
    (["flag:True"], False, False),
    (['object:{"a": 1}'], True, True),
    (['list:[1, "x"]'], True, True),
    (["list:1"], False, False),
    (["colon:a:b"], True, True),
    (["none:5"], False, False),
    (["text:5", "number:6"], True, False),
    # A key with several values means any of them.
    (["text:5", "text:6"], True, True),
    (["text:6", "text:5", "text:5"], True, True),
    (["text:5", "text:6", "number:5", "number:7"], True, True),
    (["text:5", "text:6", "number:6", "number:7"], True, False),
    (["text:6", "text:7"], False, False),
    (["text:5", "number:5", "flag:true", "half:1.5", "colon:a:b", 'object:{"a": 1}', 'list:[1, "x"]'], True, True),
    (["text:5", "number:5", "flag:true", "half:1.5", "colon:a:b", 'object:{"a": 1}', "list:[2]"], True, False),
]


@pytest.mark.parametrize(("pairs", "any_fits", "all_fit"), PAIRS, ids=[" and ".join(case[0]) for case in PAIRS])
async def test_values_are_compared_as_texts(site: Site, pairs: list[str], any_fits: bool, all_fit: bool) -> None:
    single = await site.seeds.single()
    alone = await site.seeds.run(single, metadata=METADATA, task={})
    tasks = (TaskSpec(name="one", action_id="w:one"), TaskSpec(name="two", action_id="w:two"))
    dag = await site.seeds.workflow("w", tasks)
    together = await site.seeds.run(dag, metadata=METADATA)
    members = [await site.seeds.task(dag, together, name) for name in ("one", "two")]
    await site.seeds.run(single, task={})
    await site.seeds.run(single, metadata={"text": "x", "other": 5}, task={})

    async def found(operator: str, path: str = "workflow-runs", **query: Any) -> list[str]:
        query |= {
            "since": "2025-01-01T00:00:00Z",
            "additional_metadata": pairs,
            "additional_metadata_operator": operator,
        }
        answer = await site.client.get(f"{site.stable}/{path}", params=query)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        if path != "workflow-runs":
            return sorted(body) if isinstance(body, list) else [""] * body["count"]
        assert body["pagination"]["num_pages"] == (1 if body["rows"] else 0)
        return sorted(row["metadata"]["id"] for row in body["rows"])

    for operator, fits in (("OR", any_fits), ("AND", all_fit)):
        runs = sorted([alone, together]) if fits else []
        assert await found(operator, only_tasks="false") == runs
        assert await found(operator, only_tasks="true") == (sorted([alone, *members]) if fits else [])
        assert await found(operator, "workflow-runs/external-ids") == runs
        assert len(await found(operator, "workflow-runs/count")) == len(runs)


async def test_events_are_found_by_all_of_their_pairs(site: Site) -> None:
    event_id = await site.seeds.event("k", additional_metadata=json.dumps(METADATA))
    await site.seeds.event("k")
    for pairs, _, all_fit in PAIRS:
        answer = await site.client.get(f"{site.stable}/events", params={"additionalMetadata": pairs})
        assert [row["metadata"]["id"] for row in answer.json()["rows"]] == ([event_id] if all_fit else []), pairs
        assert answer.json()["pagination"]["num_pages"] == (1 if all_fit else 0)

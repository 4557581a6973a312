"""What runs can be asked for, and that lists, counts and acts ask the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from broadaxe.core.commands.tasks import CancelTasks
from broadaxe.core.definition import TaskSpec
from broadaxe.errors import InvalidArgument
from broadaxe.storage import accounts, payload_search
from broadaxe.storage.ids import id_after, id_floor, ids_with_prefix, new_id
from broadaxe.storage.payload_search import payload_terms
from broadaxe.storage.run_names import name_search

from .conftest import Seeds

if TYPE_CHECKING:
    from .conftest import Site

LONG_AGO = "2000-01-01T00:00:00Z"


async def found(site: Site, **query: object) -> set[str]:
    """The runs that a list shows, having made sure that the ids and the count are of the same."""
    window = {"since": LONG_AGO, **query}
    answer = await site.client.get(f"{site.stable}/workflow-runs", params={"only_tasks": "false", **window})
    assert answer.status_code == 200, answer.text
    listed = {row["metadata"]["id"] for row in answer.json()["rows"]}
    named = await site.client.get(f"{site.stable}/workflow-runs/external-ids", params=window)
    counted = await site.client.get(f"{site.stable}/workflow-runs/count", params=window)
    assert (set(named.json()), counted.json()["count"]) == (listed, len(listed))
    by_status = await site.client.get(f"{site.stable}/task-metrics", params=window)
    assert sum(entry["count"] for entry in by_status.json()) == len(listed)
    return listed


async def test_a_run_is_found_by_its_id_and_by_the_front_of_it(site: Site) -> None:
    made = await site.seeds.single()
    old = id_floor(datetime(2025, 3, 1, tzinfo=UTC))[:-1] + "7"
    born = datetime(2025, 3, 1, tzinfo=UTC)
    await site.seeds.run(made, id=old, created_at=born, task={"created_at": born})
    new = await site.seeds.run(made, task={})
    assert await found(site, external_id_prefix=old) == {old}
    assert await found(site, external_id_prefix=old[:10].upper()) == {old}, "hyphens and capitals do not matter"
    assert await found(site, external_id_prefix=new[:-1]) == {new}
    assert await found(site, external_id_prefix="fff") == set()
    bad = await site.client.get(
        f"{site.stable}/workflow-runs", params={"since": LONG_AGO, "only_tasks": "false", "external_id_prefix": "xyz"}
    )
    assert (bad.status_code, bad.json()["errors"][0]["field"]) == (400, "external_id_prefix")


async def test_runs_are_found_by_names_and_text(site: Site) -> None:
    orders, mails = await site.seeds.single("orders"), await site.seeds.single("mails_50")
    at = datetime(2025, 3, 1, 12, tzinfo=UTC)
    ms = int(at.timestamp() * 1000)
    old = await site.seeds.run(orders, id=id_floor(at), created_at=at, task={"created_at": at})
    order = await site.seeds.run(orders, task={})
    mail = await site.seeds.run(mails, task={})
    assert await found(site, workflow_names="orders") == {old, order}
    assert await found(site, workflow_names=["orders", "mails_50"]) == {old, order, mail}
    assert await found(site, workflow_names="nothing") == set()
    assert await found(site, search="ORD") == {old, order}
    assert await found(site, search="S_5") == {mail}, "no character of the text is a wildcard"
    assert await found(site, search="rders-", workflow_ids=mails[0]) == set()
    assert await found(site, search=f"orders-{ms}") == {old}
    assert await found(site, search=f"ders-{ms // 1_000_000}") == {old}
    assert await found(site, search=str(ms)) == {old}
    assert await found(site, search=f"mails_50-{ms}") == set()
    too_long = await site.client.get(
        f"{site.stable}/workflow-runs", params={"since": LONG_AGO, "only_tasks": "false", "search": "x" * 201}
    )
    assert too_long.json()["errors"][0]["field"] == "search"


async def test_runs_are_found_by_what_started_them_and_who_took_them(site: Site) -> None:
    greet = await site.seeds.single("greet")
    dag = await site.seeds.workflow(
        "etl", (TaskSpec(name="a", action_id="etl:a"), TaskSpec(name="b", action_id="etl:b"))
    )
    worker = await site.seeds.worker()
    parent = await site.seeds.run(dag)
    member = await site.seeds.task(dag, parent, "a", worker_id=worker)
    child = await site.seeds.run(greet, parent_task_id=member, task={})
    alone = await site.seeds.run(greet, cause="CRON", task={"worker_id": worker})
    grandchild = await site.seeds.run(greet, parent_task_id=alone, cause="MANUAL", task={})
    assert await found(site, parent_run_external_id=parent) == {child}
    assert await found(site, parent_run_external_id=member) == {child}
    assert await found(site, parent_run_external_id=alone) == {grandchild}
    assert await found(site, causes="CRON") == {alone}
    assert await found(site, causes=["CRON", "MANUAL"]) == {alone, grandchild}
    assert await found(site, worker_id=worker) == {parent, alone}
    tasks = await site.client.get(
        f"{site.stable}/workflow-runs", params={"since": LONG_AGO, "only_tasks": "true", "causes": "CRON"}
    )
    assert [row["metadata"]["id"] for row in tasks.json()["rows"]] == [alone]


async def test_an_act_on_all_that_match_touches_what_the_list_shows(site: Site) -> None:
    greet, other = await site.seeds.single("greet"), await site.seeds.single("other")
    both = await site.seeds.run(greet, metadata={"tenant": "acme", "plan": "pro"}, idempotency_key="k", task={})
    await site.seeds.run(greet, metadata={"tenant": "acme", "plan": "free"}, task={})
    await site.seeds.run(other, metadata={"tenant": "acme", "plan": "pro"}, task={})
    pairs = ["tenant:acme", "plan:pro"]
    query = {"additional_metadata": pairs, "additional_metadata_operator": "AND", "workflow_names": "greet"}
    assert await found(site, **query, statuses="QUEUED") == {both}
    wanted = {
        "since": LONG_AGO,
        "additionalMetadata": pairs,
        "additionalMetadataOperator": "AND",
        "workflowNames": ["greet"],
    }
    answer = await site.client.post(f"{site.stable}/tasks/cancel", json={"filter": wanted})
    assert answer.json() == {"ids": [both]}
    assert site.engine.commands == [(site.seeds.tenant_id, CancelTasks((both,)))]
    for narrow in ({"idempotencyKeys": ["k"]}, {"externalIdPrefix": both}, {"search": "greet", **wanted}):
        answer = await site.client.post(f"{site.stable}/tasks/cancel", json={"filter": {"since": LONG_AGO, **narrow}})
        assert answer.json() == {"ids": [both]}, narrow
    none = await site.client.post(
        f"{site.stable}/tasks/cancel", json={"filter": {"since": LONG_AGO, "search": "no such"}}
    )
    assert none.json() == {"ids": []}, "a text that nothing has does not mean everything"


async def test_a_text_finds_nothing_of_another_tenant(site: Site) -> None:
    stranger = await accounts.create_tenant(site.seeds.pool, "Other", "other", site.owner.id)
    elsewhere = Seeds(site.seeds.pool, stranger.id)
    made = await elsewhere.single("secret")
    run = await elsewhere.run(made, idempotency_key="k", cause="CRON", task={})
    for query in (
        {"search": "secret"},
        {"workflow_names": "secret"},
        {"workflow_ids": made[0]},
        {"external_id_prefix": run},
        {"parent_run_external_id": run},
        {"causes": "CRON"},
        {"idempotency_keys": "k"},
    ):
        assert await found(site, **query) == set(), query


async def test_the_oldest_come_first_when_asked_for_page_by_page(site: Site) -> None:
    made = await site.seeds.single()
    runs = [await site.seeds.run(made, task={}) for _ in range(5)]
    query = {"since": LONG_AGO, "only_tasks": "false", "order_by_direction": "ASC", "limit": "2"}
    seen: list[str] = []
    cursor = None
    while True:
        page = (
            await site.client.get(
                f"{site.stable}/workflow-runs", params={**query, **({} if cursor is None else {"cursor": cursor})}
            )
        ).json()
        seen += [row["metadata"]["id"] for row in page["rows"]]
        cursor = page["pagination"].get("next_cursor")
        if cursor is None:
            break
    assert seen == runs
    first = (await site.client.get(f"{site.stable}/workflow-runs", params=query)).json()["pagination"]["next_cursor"]
    newest = await site.client.get(
        f"{site.stable}/workflow-runs",
        params={"since": LONG_AGO, "only_tasks": "false", "cursor": first},
    )
    assert newest.json()["errors"][0]["field"] == "cursor", "a place in one order means nothing in the other"
    tasks = await site.client.get(f"{site.stable}/workflow-runs", params={**query, "only_tasks": "true"})
    assert tasks.json()["errors"][0]["field"] == "order_by_direction"


@pytest.mark.parametrize(
    ("text", "ends_with", "first", "width_ms"),
    [
        ("orders-1738314900123", "orders", 1738314900123, 1),
        ("orders-17383", "orders", 1738300000000, 10**8),
        ("1738314900123", "", 1738314900123, 1),
        ("a-b-17", "a-b", 1700000000000, 10**11),
    ],
)
def test_the_number_at_the_end_of_a_text_is_a_range_of_time(
    text: str, ends_with: str, first: int, width_ms: int
) -> None:
    search = name_search(text)
    assert search.ends_with == ends_with
    assert search.born is not None
    assert search.born.since == datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=first)
    assert search.born.until - search.born.since == timedelta(milliseconds=width_ms, microseconds=-1)


@pytest.mark.parametrize(("text", "ends_with"), [("orders", None), ("orders-x1", None), ("orders-", "orders")])
def test_a_text_without_a_number_is_about_names_only(text: str, ends_with: str | None) -> None:
    search = name_search(text)
    assert (search.contains, search.ends_with, search.born) == (text, ends_with, None)


def test_a_front_of_ids_is_a_range_of_them() -> None:
    one = new_id()
    for length in range(1, 33):
        first, end = ids_with_prefix(one.replace("-", "")[:length])
        assert first <= one < end
        assert not first <= ("0" if one[0] != "0" else "1") + one[1:] < end
    assert ids_with_prefix("f")[1] == "ffffffff-ffff-ffff-ffff-ffffffffffff"
    assert id_after("00000000-0000-7000-8000-ffffffffffff") == "00000000-0000-7000-8001-000000000000"


# Values in payloads ---------------------------------------------------------------------------------------------------


def done(output: str) -> dict[str, object]:
    """What a task has that ended well."""
    return {"status": "COMPLETED", "output": output}


async def test_runs_are_found_by_values_in_their_inputs_and_outputs(site: Site) -> None:
    greet = await site.seeds.single("greet")
    etl = await site.seeds.workflow(
        "etl", (TaskSpec(name="a", action_id="etl:a"), TaskSpec(name="b", action_id="etl:b"))
    )
    inner = '{"customer": {"id": "acme", "a.b": [1.5, true, null]}, "items": [{"sku": 17}, {"sku": "x y"}]}'
    acme = await site.seeds.run(greet, input=inner, task=done('{"total": 3}'))
    other = await site.seeds.run(greet, input='{"customer": {"id": "ACME"}}', task=done('{"total": 30}'))
    dag = await site.seeds.run(etl, input='{"items": [{"sku": 17}]}')
    await site.seeds.task(etl, dag, "a", **done('{"rows": 1}'))
    await site.seeds.task(etl, dag, "b", **done('{"rows": 2, "name": "Zo\\u00eb"}'))
    # JSON that jsonb cannot hold stands in nobody's way.
    await site.seeds.run(greet, input='{"customer": {"id": 1e999999}}', task={})
    assert await found(site, input="customer.id=acme") == {acme}
    assert await found(site, input="$.customer.id=ACME") == {other}
    assert await found(site, input="items[0].sku=17") == {acme, dag}
    assert await found(site, input="items.sku=x y") == {acme}, "a list stands for its items"
    assert await found(site, input="items[*].sku=17") == {acme, dag}
    assert await found(site, input='customer["a.b"]=true') == {acme}
    assert await found(site, input='customer."a.b"[0]=1.5') == {acme}
    assert await found(site, input="customer.*=ACME") == {other}
    assert await found(site, input=["items.sku=17", "customer.id=acme"]) == {acme}, "all must be so"
    assert await found(site, output="total=3") == {acme}
    assert await found(site, output="rows=2") == {dag}
    assert await found(site, output="name=Zo\u00eb") == {dag}
    assert await found(site, output=["rows=1", "rows=2"]) == {dag}, "of any of its tasks"
    assert await found(site, input="items.sku=17", output="total=3") == {acme}
    assert await found(site, input="items.sku=17", workflow_names="etl") == {dag}
    assert await found(site, input="nothing=1") == set()


async def test_the_tasks_of_runs_are_found_by_payload_too_whatever_their_status(site: Site) -> None:
    greet = await site.seeds.single("greet")
    wanted = await site.seeds.run(greet, input='{"n": 1}', status="COMPLETED", task={"status": "COMPLETED"})
    await site.seeds.run(greet, input='{"n": 2}', task={})
    query = {"since": LONG_AGO, "only_tasks": "true", "input": "n=1"}
    for more in ({}, {"statuses": "COMPLETED"}):
        answer = (await site.client.get(f"{site.stable}/workflow-runs", params=query | more)).json()
        assert [row["metadata"]["id"] for row in answer["rows"]] == [wanted]
        assert answer["lookedAt"]["runs"] == 2


async def test_a_search_in_payloads_says_how_far_it_looked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    greet = await site.seeds.single("greet")
    born = [datetime(2025, 3, day, tzinfo=UTC) for day in (1, 2, 3)]
    for at in born:
        await site.seeds.run(greet, id=id_floor(at), created_at=at, input='{"n": 1}', task={"created_at": at})

    async def look(**more: str) -> tuple[int, dict[str, object]]:
        query = {"since": LONG_AGO, "only_tasks": "false", "input": "n=1", **more}
        answer = (await site.client.get(f"{site.stable}/workflow-runs", params=query)).json()
        return len(answer["rows"]), answer["lookedAt"]

    oldest = "2025-03-01T00:00:00.000000Z"
    assert await look() == (3, {"runs": 3, "isCut": False, "oldest": oldest})
    monkeypatch.setattr("broadaxe.storage.reads.LOOKED_AT_MAX", 2)
    assert await look() == (2, {"runs": 2, "isCut": True, "oldest": "2025-03-02T00:00:00.000000Z"})
    assert await look(until="2025-03-02T00:00:00Z") == (2, {"runs": 2, "isCut": True, "oldest": oldest})
    monkeypatch.setattr("broadaxe.storage.reads.LOOKED_AT_MAX", 10)
    monkeypatch.setattr("broadaxe.storage.reads.LOOKED_AT_BYTES_MAX", 1)
    assert await look() == (1, {"runs": 1, "isCut": True, "oldest": "2025-03-03T00:00:00.000000Z"})
    assert await look(workflow_names="nothing") == (0, {"runs": 0, "isCut": False})


async def test_what_is_found_by_payload_is_what_is_cancelled(site: Site) -> None:
    greet = await site.seeds.single("greet")
    wanted = await site.seeds.run(greet, input='{"n": 1}', task={})
    await site.seeds.run(greet, input='{"n": 2}', task={})
    answer = await site.client.post(
        f"{site.stable}/tasks/cancel", json={"filter": {"since": LONG_AGO, "input": ["n=1"]}}
    )
    assert answer.status_code == 200, answer.text
    (submitted,) = [command for _, command in site.engine.commands]
    assert isinstance(submitted, CancelTasks) and submitted.ids == (wanted,)
    bad = await site.client.post(f"{site.stable}/tasks/cancel", json={"filter": {"since": LONG_AGO, "output": ["n"]}})
    assert (bad.status_code, bad.json()["errors"][0]["field"]) == (400, "filter.output")


async def test_nobody_finds_payloads_of_another_tenant(site: Site) -> None:
    other = Seeds(site.seeds.pool, new_id())
    await site.seeds.pool.execute(
        "insert into broadaxe.tenant (id, name, slug) values ($1, 'other', 'other')", other.tenant_id
    )
    await other.run(await other.single(), input='{"n": 1}', task=done('{"n": 1}'))
    await site.seeds.single()
    assert await found(site, input="n=1") == set()
    assert await found(site, output="n=1") == set()


@pytest.mark.parametrize(
    ("text", "place", "value"),
    [
        ("a=1", '$."a"[*]', "1"),
        ("$.a.b=x=y", '$."a"."b"[*]', "x=y"),
        ('$[2]["k"]=', '$[2]."k"[*]', ""),
        ('"a.b=c"."\\u00e9"=v', '$."a.b=c"."\u00e9"[*]', "v"),
        ("a-b.$x.*[*]=v", '$."a-b"."$x".*[*][*]', "v"),
    ],
    ids=["plain", "dollar", "index", "quoted", "signs"],
)
def test_a_place_in_a_payload_is_read(text: str, place: str, value: str) -> None:
    (term,) = payload_terms([text], field="input")
    assert (term.place, term.value) == (place, value)


@pytest.mark.parametrize(
    "text",
    ["", "a", "=1", ".a=1", "a..b=1", "a b=1", "a[x]=1", "a[1=1", "$a.b", "a[0]b=1", '"a=1', '"\\ud800"=1',
     '"\\u0000"=1', "a=\x00", "a=\n", "a" * 1_001 + "=1"],
    ids=["empty", "no-value", "no-place", "dot-first", "two-dots", "blank", "word-index", "open", "no-mark",
         "no-dot", "open-quote", "surrogate", "nul-key", "nul", "control", "long"],
)  # fmt: skip
def test_a_place_that_cannot_be_read_names_its_field(text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        payload_terms([text], field="input")
    assert refused.value.field == "input" and len(refused.value.message) < 300


def test_no_more_values_are_asked_for_than_may_be() -> None:
    with pytest.raises(InvalidArgument, match="at most"):
        payload_terms([f"a{n}=1" for n in range(payload_search.TERMS_MAX + 1)], field="output")

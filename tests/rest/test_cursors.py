"""Lists read page by page with cursors: each row once and in order, whatever comes and goes meanwhile.

Rows are numbered, and a row's number is the end of its id, so that a test can tell where it belongs. In the columns
that lists are ordered by two rows or more have the same value, because those have to be told apart as well. Each list
is looked at in a tenant of its own.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from broadaxe.rest.cursors import CURSOR_LENGTH_MAX
from broadaxe.storage import accounts
from broadaxe.storage.ids import id_floor, new_id
from broadaxe.storage.tokens import create_token
from tests.rest.conftest import PASSWORD, Seeds, make_account

if TYPE_CHECKING:
    from .conftest import Site

NUMBERS = range(10, 18)
#: For rows that come later, before those in lists with the newest last, and with the newest first.
SMALLER, GREATER = range(9, 0, -1), range(90, 99)
PAGE = 3

TASK = "0190a000-0000-7000-8000-000000000000"
OTHER = "0190a000-0000-7000-8000-000000000001"


class Stage:
    """Makes and removes numbered rows of a tenant."""

    def __init__(self, site: Site, seeds: Seeds) -> None:
        self.site = site
        self.seeds = seeds
        self.made: Any = None
        self.started_at = self.seeds.now - timedelta(minutes=10)

    def at(self, number: int) -> datetime:
        return self.started_at + timedelta(seconds=number)

    def paired_at(self, number: int) -> datetime:
        return self.at(number // 2)

    def id(self, number: int) -> str:
        return f"{id_floor(self.at(number))[:14]}7000-8000-{number:012}"

    async def insert(self, table: str, **columns: Any) -> None:
        await self.seeds._insert(table, **columns)

    async def workflow(self) -> Any:
        self.made = self.made or await self.seeds.single()
        return self.made

    async def remove(self, table: str, number: int) -> None:
        await self.delete(table, "id", self.id(number))

    async def delete(self, table: str, column: str, value: object) -> None:
        delete = f"delete from broadaxe.{table} where tenant_id = $1 and {column} = $2"
        await self.seeds.pool.execute(delete, self.seeds.tenant_id, value)

    async def has(self, table: str, row_id: str) -> bool:
        exists = f"select exists (select 1 from broadaxe.{table} where tenant_id = $1 and id = $2)"
        return bool(await self.seeds.pool.fetchval(exists, self.seeds.tenant_id, row_id))

    async def task(self) -> None:
        """The task TASK, once."""
        if not await self.has("task", TASK):
            await self.seeds.run(await self.workflow(), id=TASK, task={})


Add = Callable[[Stage, int], Awaitable[None]]


async def add_run(stage: Stage, number: int) -> None:
    task = {"status": "COMPLETED", "created_at": stage.at(number)}
    await stage.seeds.run(
        await stage.workflow(),
        id=stage.id(number),
        status="COMPLETED",
        metadata={"same": "same"},
        created_at=stage.at(number),
        task=task,
    )


async def add_child(stage: Stage, number: int) -> None:
    """A run that a task of the run TASK has spawned."""
    made = await stage.workflow()
    if not await stage.has("run", TASK):
        task = {"status": "COMPLETED", "created_at": stage.at(0)}
        await stage.seeds.run(made, id=TASK, status="COMPLETED", created_at=stage.at(0), task=task)
    await stage.seeds.run(
        made, id=stage.id(number), status="COMPLETED", created_at=stage.at(number), parent_task_id=TASK
    )


async def add_event(stage: Stage, number: int) -> None:
    await stage.seeds.event("k", id=stage.id(number), seen_at=stage.at(number))


async def add_cron(stage: Stage, number: int) -> None:
    # Pairs have one name, or none.
    name = f"cron-{number // 2:03}" if number // 2 % 3 else None
    await stage.insert(
        "cron",
        id=stage.id(number),
        workflow_id=(await stage.workflow())[0],
        expression=f"{number % 60} * * * *",
        name=name,
        is_declared=name is None,
        input="{}",
        is_enabled=True,
        created_at=stage.at(number),
        updated_at=stage.at(number),
    )


async def add_schedule(stage: Stage, number: int) -> None:
    await stage.insert(
        "schedule",
        id=stage.id(number),
        workflow_id=(await stage.workflow())[0],
        trigger_at=stage.paired_at(number) + timedelta(days=9),
        input="{}",
        created_at=stage.at(number),
        updated_at=stage.at(number),
    )


async def add_filter(stage: Stage, number: int) -> None:
    await stage.insert(
        "event_filter",
        id=stage.id(number),
        workflow_id=(await stage.workflow())[0],
        scope="s",
        expression="true",
        payload="{}",
        is_declared=False,
        created_at=stage.at(number),
        updated_at=stage.at(number),
    )


async def add_failure(stage: Stage, number: int) -> None:
    await stage.insert("expression_failure", id=stage.id(number), source="FILTER", message="m", at=stage.at(number))


async def add_webhook(stage: Stage, number: int) -> None:
    await stage.insert(
        "webhook",
        id=stage.id(number),
        name=f"hook-{number}",
        source="GENERIC",
        proof="BASIC",
        secret=b"x",
        event_key_expression="'k'",
    )


async def add_refusal(stage: Stage, number: int) -> None:
    webhook = stage.id(number % 2)
    if not await stage.has("webhook", webhook):
        await add_webhook(stage, number % 2)
    columns = {"slot": number, "reason": "PROOF", "message": str(number), "at": stage.at(number // 4)}
    await stage.insert("webhook_failure", webhook_id=webhook, **columns)


async def remove_refusal(stage: Stage, number: int) -> None:
    await stage.delete("webhook_failure", "slot", number)


async def add_workflow(stage: Stage, number: int) -> None:
    # One of them is the name looked for, and two are but for their case.
    name = {12: "flow", 14: "Flow", 15: "FLOW"}.get(number, f"flow-{number}")
    columns = {"created_at": stage.paired_at(number), "updated_at": stage.at(number)}
    await stage.insert("workflow", id=stage.id(number), name=name, **columns)


async def add_worker(stage: Stage, number: int) -> None:
    await stage.seeds.worker(id=stage.id(number), created_at=stage.paired_at(number))


async def add_limit(stage: Stage, number: int) -> None:
    await stage.insert(
        "rate_limit",
        key=f"key-{number:012}",
        limit_value=number // 2,
        value=number // 4,
        window_us=10**15,
        last_refill_at=stage.at(0),
    )


async def remove_limit(stage: Stage, number: int) -> None:
    await stage.delete("rate_limit", "key", f"key-{number:012}")


async def add_token(stage: Stage, number: int) -> None:
    await stage.insert(
        "api_token",
        id=stage.id(number),
        name=f"token-{number}",
        token_hash=bytes([number]),
        expires_at=stage.at(10**6),
    )


async def add_member(stage: Stage, number: int) -> None:
    account = await make_account(stage.seeds.pool, f"member-{number}", f"member-{number}@example.com")
    await stage.insert(
        "membership",
        id=stage.id(number),
        account_id=account.id,
        role="VIEWER",
        created_at=stage.paired_at(number) - timedelta(days=1),
    )


async def add_line(stage: Stage, number: int) -> None:
    await stage.task()
    await stage.insert(
        "log_line",
        id=stage.id(number),
        task_id=TASK,
        retry_count=0,
        level="INFO",
        message=str(number),
        created_at=stage.paired_at(number),
    )


async def add_entry(stage: Stage, number: int) -> None:
    await stage.task()
    columns = {"task_id": TASK, "type": "QUEUED", "at": stage.at(number), "retry_count": 0}
    await stage.insert("task_event", seq=number, **columns)


async def remove_entry(stage: Stage, number: int) -> None:
    await stage.delete("task_event", "seq", number)


async def add_node(stage: Stage, number: int) -> None:
    await stage.task()
    await stage.insert(
        "durable_entry",
        task_id=TASK,
        # The same node on two branches.
        branch_id=1 + (number >= 14),
        node_id=number if number < 14 else number - 4,
        kind="MEMO",
        identity="x",
        label=str(number),
        created_at=stage.at(number),
        is_awaited=True,
        is_on_path=True,
    )


async def remove_node(stage: Stage, number: int) -> None:
    await stage.delete("durable_entry", "label", str(number))


async def add_span(stage: Stage, number: int) -> None:
    if not await stage.has("run", stage.id(0)):
        # The engine's own spans lie among those of the clients.
        run = await stage.seeds.run(
            await stage.workflow(), id=stage.id(0), status="COMPLETED", created_at=stage.at(5), task={}
        )
        for seq, (kind, at) in enumerate((("QUEUED", 6), ("SENT_TO_WORKER", 6), ("STARTED", 7), ("FINISHED", 9)), 1):
            columns = {"seq": seq, "type": kind, "retry_count": 0, "at": stage.at(at)}
            await stage.insert("task_event", task_id=run, **columns)
    await stage.insert(
        "span",
        id=stage.id(number),
        trace_id=stage.id(0) if number % 3 else stage.id(3),
        span_id=number.to_bytes(8),
        run_id=stage.id(0),
        retry_count=0,
        name=f"span-{number}",
        kind=1,
        service_name="x",
        status_code=1,
        status_message="",
        started_at=stage.paired_at(number),
        duration_ns=1,
        attributes="{}",
        resource_attributes="{}",
        scope_name="",
        scope_version="",
    )


def by_id(row: dict[str, Any]) -> int:
    found: dict[str, Any] = row.get("metadata", row)
    digits = str(found["id"])[-12:]
    # What the site itself made has no number.
    return int(digits) if digits.isdecimal() else -1


def by_task(row: dict[str, Any]) -> int:
    return int(row["taskExternalId"][-12:])


def by_message(row: dict[str, Any]) -> int:
    return int(row["message"])


@dataclass(frozen=True, slots=True)
class Listed:
    """A list: its address, how rows come and go, and where in its order new ones come first."""

    address: str
    add: Add
    table: str | Add
    """Where rows are deleted by id, or how they are removed."""
    number: Callable[[dict[str, Any]], int] = by_id
    params: dict[str, Any] = field(default_factory=dict)
    ascends: bool = False
    needs_person: bool = False

    async def remove(self, stage: Stage, number: int) -> None:
        if isinstance(self.table, str):
            await stage.remove(self.table, number)
        else:
            await self.table(stage, number)


RUNS = "{stable}/workflow-runs"
SINCE = {"since": "2020-01-01T00:00:00Z"}
SCHEDULES = "{tenant}/workflows/scheduled"
CRONS = "{tenant}/workflows/crons"
LIMITS = "{tenant}/rate-limits"
TASK_LOGS = f"/api/v1/stable/tasks/{TASK}/logs"


def _limit(row: dict[str, Any]) -> int:
    return int(row["key"].removeprefix("key-"))


def _ordered(by: str, direction: str) -> dict[str, str]:
    return {"orderByField": by, "orderByDirection": direction}


LISTS: dict[str, Listed] = {
    "runs": Listed(RUNS, add_run, "run", by_task, {"only_tasks": "false", **SINCE}),
    "runs by metadata": Listed(
        RUNS, add_run, "run", by_task, {"only_tasks": "false", "additional_metadata": "same:same", **SINCE}
    ),
    "tasks": Listed(RUNS, add_run, "task", by_task, {"only_tasks": "true", **SINCE}),
    "tasks of some runs": Listed(
        RUNS, add_run, "task", by_task, {"only_tasks": "true", "additional_metadata": "same:same", **SINCE}
    ),
    "events": Listed("{stable}/events", add_event, "event"),
    "filters": Listed("{stable}/filters", add_filter, "event_filter"),
    "expression failures": Listed("{stable}/cel/failures", add_failure, "expression_failure"),
    "webhooks": Listed("{stable}/webhooks", add_webhook, "webhook"),
    "webhook failures": Listed("{stable}/webhook-failures", add_refusal, remove_refusal, by_message),
    "workflows": Listed("{tenant}/workflows", add_workflow, "workflow"),
    "workflows by name": Listed("{tenant}/workflows", add_workflow, "workflow", params={"name": "flow"}),
    "workers": Listed("{tenant}/worker", add_worker, "worker"),
    "tokens": Listed("{tenant}/api-tokens", add_token, "api_token", needs_person=True),
    "members": Listed("{tenant}/members", add_member, "membership", ascends=True, needs_person=True),
    "log lines of a task": Listed(TASK_LOGS, add_line, "log_line", by_message, ascends=True),
    "log lines of a task, newest first": Listed(
        TASK_LOGS, add_line, "log_line", by_message, {"order_by_direction": "DESC"}
    ),
    "log lines": Listed("{stable}/logs", add_line, "log_line", by_message, ascends=True),
    "log lines, newest first": Listed(
        "{stable}/logs", add_line, "log_line", by_message, {"order_by_direction": "DESC"}
    ),
    "log lines of some tasks": Listed(
        "{stable}/logs", add_line, "log_line", by_message, {"taskExternalIds": [TASK, OTHER]}, ascends=True
    ),
    "task events": Listed(f"/api/v1/stable/tasks/{TASK}/task-events", add_entry, remove_entry, lambda row: row["id"]),
    "durable log": Listed(
        f"{{stable}}/durable-tasks/{TASK}", add_node, remove_node, lambda row: int(row["userMessage"]), ascends=True
    ),
    "older runs": Listed("{tenant}/workflows/runs", add_run, "run"),
    "older runs of a parent": Listed("{tenant}/workflows/runs", add_child, "run", params={"parentWorkflowRunId": TASK}),
    "older events": Listed("{tenant}/events", add_event, "event"),
    "older log lines": Listed(f"/api/v1/step-runs/{TASK}/logs", add_line, "log_line", by_message, ascends=True),
}
for _direction in ("ASC", "DESC"):
    for _by in ("triggerAt", "createdAt"):
        LISTS[f"schedules {_by} {_direction}"] = Listed(
            SCHEDULES, add_schedule, "schedule", by_id, _ordered(_by, _direction), _direction == "ASC"
        )
    for _by in ("name", "createdAt"):
        LISTS[f"crons {_by} {_direction}"] = Listed(
            CRONS, add_cron, "cron", by_id, _ordered(_by, _direction), _direction == "ASC"
        )
    for _by in ("key", "value", "limitValue"):
        LISTS[f"rate limits {_by} {_direction}"] = Listed(
            LIMITS, add_limit, remove_limit, _limit, _ordered(_by, _direction.lower()), _direction == "ASC"
        )


@dataclass(frozen=True, slots=True)
class Answer:
    rows: list[dict[str, Any]]
    next_cursor: str | None
    pagination: dict[str, Any]


class Reader:
    """Asks one list for its pages."""

    def __init__(self, client: httpx.AsyncClient, path: str, params: dict[str, Any]) -> None:
        self.client = client
        self.path = path
        self.params = params

    async def get(self, **params: Any) -> httpx.Response:
        return await self.client.get(self.path, params=self.params | params)

    async def page(self, **params: Any) -> Answer:
        answer = await self.get(**params)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        if isinstance(body, list):
            cursor = answer.headers.get("X-Next-Cursor")
            return Answer(body, cursor, {} if cursor is None else {"next_cursor": cursor})
        pagination = body.get("pagination", {})
        return Answer(body["rows"], pagination.get("next_cursor"), pagination)


async def opened(site: Site) -> tuple[Stage, httpx.AsyncClient]:
    """A tenant of its own, with a client that has a token for it."""
    tenant = await accounts.create_tenant(site.seeds.pool, "Other", f"t-{new_id()}", site.owner.id)
    issued = await create_token(site.seeds.pool, tenant.id, "tests", 3600, site.url, "127.0.0.1:2")
    client = httpx.AsyncClient(base_url=site.url, headers={"Authorization": f"Bearer {issued.token}"}, timeout=60)
    return Stage(site, Seeds(site.seeds.pool, tenant.id)), client


def reader(stage: Stage, client: httpx.AsyncClient, listed: Listed) -> Reader:
    tenant_id = stage.seeds.tenant_id
    path = listed.address.format(stable=f"/api/v1/stable/tenants/{tenant_id}", tenant=f"/api/v1/tenants/{tenant_id}")
    return Reader(stage.site.anonymous if listed.needs_person else client, path, listed.params)


async def log_in(site: Site) -> None:
    login = {"email": "ada@example.com", "password": PASSWORD}
    assert (await site.anonymous.post("/api/v1/users/login", json=login)).status_code == 200


GROUPS = {
    add.__name__.removeprefix("add_"): [name for name, listed in LISTS.items() if listed.add is add]
    for add in dict.fromkeys(listed.add for listed in LISTS.values())
}


@pytest.mark.parametrize("group", [list(GROUPS)[start::5] for start in range(5)], ids=range(5))
async def test_a_walk_tells_each_row_once_while_others_come_and_go(site: Site, group: list[str]) -> None:
    await log_in(site)
    for name in (name for add in group for name in GROUPS[add]):
        listed = LISTS[name]
        stage, client = await opened(site)
        async with client:
            for number in NUMBERS:
                await listed.add(stage, number)
            await _walk(stage, reader(stage, client, listed), name)


async def _walk(stage: Stage, pages: Reader, name: str) -> None:
    listed = LISTS[name]
    whole = await pages.page(limit=100)
    numbers = [listed.number(row) for row in whole.rows if listed.number(row) in NUMBERS]
    assert sorted(numbers) == list(NUMBERS), name
    assert whole.next_cursor is None, name
    told: list[int] = []
    comers = iter(SMALLER if listed.ascends else GREATER)
    page = await pages.page(limit=PAGE)
    while True:
        assert len(page.rows) <= PAGE, name
        told += [listed.number(row) for row in page.rows]
        if page.next_cursor is None:
            break
        # The row the cursor was taken from goes, and another comes before all that are there.
        if told[-1] > 0:
            await listed.remove(stage, told[-1])
        await listed.add(stage, next(comers))
        page = await pages.page(limit=PAGE, cursor=page.next_cursor)
        assert set(page.pagination) <= {"next_cursor"}, f"nobody knows the number of this page of {name}"
    assert [number for number in told if number in NUMBERS] == numbers, name


async def test_the_spans_of_a_trace_are_walked_among_the_engine_s_own(site: Site) -> None:
    stage = Stage(site, site.seeds)
    for number in range(1, 14):
        await add_span(stage, number)
    pages = Reader(site.client, f"{site.stable}/traces", {"run_external_id": stage.id(0)})
    whole = await pages.page()
    assert whole.next_cursor is None
    assert len(whole.rows) == 13 + 3
    told, page = [], await pages.page(limit=PAGE)
    while True:
        assert len(page.rows) <= PAGE
        told += page.rows
        if page.next_cursor is None:
            break
        page = await pages.page(limit=PAGE, cursor=page.next_cursor)
    assert [row["createdAt"] for row in told] == [row["createdAt"] for row in whole.rows]
    assert sorted(row["spanId"] for row in told) == sorted(row["spanId"] for row in whole.rows)


async def test_the_history_of_a_run_is_walked_backwards(site: Site) -> None:
    stage = Stage(site, site.seeds)
    for number in NUMBERS:
        await add_entry(stage, number)
    pages = Reader(site.client, f"/api/v1/stable/workflow-runs/{TASK}/task-events", {})
    whole = [row["timestamp"] for row in (await pages.page()).rows]
    assert whole == sorted(whole)
    page = await pages.page(limit=PAGE)
    told = [row["timestamp"] for row in page.rows]
    assert told == whole[-PAGE:], "the newest ones, oldest first"
    while page.next_cursor is not None:
        await add_entry(stage, GREATER[0] + len(told))
        page = await pages.page(limit=PAGE, cursor=page.next_cursor)
        told = [row["timestamp"] for row in page.rows] + told
    assert told == whole


async def test_paging_by_offset_goes_on_by_cursor(site: Site) -> None:
    stage = Stage(site, site.seeds)
    for number in NUMBERS:
        await add_event(stage, number)
    pages = Reader(site.client, f"{site.stable}/events", {"limit": PAGE})
    second = await pages.page(offset=PAGE)
    assert second.pagination == {"current_page": 2, "next_page": 3, "num_pages": 3, "next_cursor": second.next_cursor}
    third = await pages.page(cursor=second.next_cursor)
    assert [by_id(row) for row in third.rows] == [11, 10]
    assert third.pagination == {}


async def test_a_full_last_page_is_followed_by_an_empty_one(site: Site) -> None:
    stage = Stage(site, site.seeds)
    for number in range(PAGE):
        await add_event(stage, number)
    pages = Reader(site.client, f"{site.stable}/events", {"limit": PAGE})
    last = await pages.page(cursor=(await pages.page()).next_cursor)
    assert (last.rows, last.pagination) == ([], {})


async def test_a_cursor_selects_nothing_of_another_tenant(site: Site) -> None:
    stage = Stage(site, site.seeds)
    other, client = await opened(site)
    for number in NUMBERS:
        await add_event(stage, number)
        await add_event(other, number + 20)
    async with client:
        first = await reader(other, client, LISTS["events"]).page(limit=PAGE)
    pages = reader(stage, site.client, LISTS["events"])
    page = await pages.page(cursor=first.next_cursor)
    assert [by_id(row) for row in page.rows] == sorted(NUMBERS, reverse=True), "its place is before all of ours"


def _refusal(answer: httpx.Response) -> str:
    assert answer.status_code == 400, answer.text
    (error,) = answer.json()["errors"]
    assert error["field"] == "cursor"
    return str(error["description"])


async def test_a_cursor_belongs_to_its_list_and_order(site: Site) -> None:
    stage = Stage(site, site.seeds)
    for number in NUMBERS:
        for add in (add_schedule, add_event, add_workflow, add_line):
            await add(stage, number)
    schedules = reader(stage, site.client, LISTS["schedules triggerAt DESC"])
    cursor = (await schedules.page(limit=PAGE)).next_cursor
    for change in ({"orderByDirection": "ASC"}, {"orderByField": "createdAt"}):
        assert "of another list or another order" in _refusal(await schedules.get(cursor=cursor, **change))
    of_event = (await reader(stage, site.client, LISTS["events"]).page(limit=PAGE)).next_cursor
    for name in ("runs", "filters", "webhooks"):
        pages = reader(stage, site.client, LISTS[name])
        assert "of another list or another order" in _refusal(await pages.get(cursor=of_event))
    workflows = reader(stage, site.client, LISTS["workflows"])
    by_name = (await workflows.page(limit=PAGE, name="flow")).next_cursor
    assert "of another list or another order" in _refusal(await workflows.get(cursor=by_name, name="low"))
    of_task = (await reader(stage, site.client, LISTS["log lines of a task"]).page(limit=PAGE)).next_cursor
    tenant_logs = reader(stage, site.client, LISTS["log lines"])
    assert "of another list or another order" in _refusal(await tenant_logs.get(cursor=of_task))


async def test_a_cursor_stands_alone(site: Site) -> None:
    stage = Stage(site, site.seeds)
    for number in NUMBERS:
        await add_event(stage, number)
    pages = reader(stage, site.client, LISTS["events"])
    cursor = (await pages.page(limit=PAGE)).next_cursor
    assert "not both" in _refusal(await pages.get(cursor=cursor, offset=PAGE))
    assert (await pages.get(cursor=cursor, offset=0)).status_code == 200


async def test_what_is_no_cursor_is_refused(site: Site) -> None:
    pages = reader(Stage(site, site.seeds), site.client, LISTS["events"])
    for cursor in ("", "x", "====", "näh", "WyJ4Il0", "bnVsbA", "W10", "W" * 4_000, "_" * (CURSOR_LENGTH_MAX + 1)):
        assert _refusal(await pages.get(cursor=cursor)), cursor


async def test_a_forged_place_is_refused(site: Site) -> None:
    stage = Stage(site, site.seeds)
    for number in NUMBERS:
        for add in (add_event, add_schedule, add_limit, add_entry):
            await add(stage, number)
    at = "2025-01-01T00:00:00Z"
    forged: dict[str, list[Any]] = {
        "events": [[], ["x"], [TASK.upper()], [f"{TASK}\n"], [TASK, 1], [1], [None], {"id": TASK}, None, "x"],
        "schedules triggerAt DESC": [
            [at, "x"],
            ["2025-01-01T00:00:00", TASK],
            ["9999-12-31T23:59:59-23:00", TASK],
            ["0001-01-01T00:00:00+14:00", TASK],
            [1, TASK],
        ],
        "rate limits key ASC": [["a\0b"], ["\ud800"], [None]],
        "rate limits value ASC": [[2**63, "x"], [1.5, "x"], ["1", "x"]],
        "task events": [[2**31], [-1]],
    }
    for name, places in forged.items():
        pages = reader(stage, site.client, LISTS[name])
        cursor = (await pages.page(limit=PAGE)).next_cursor
        assert cursor is not None
        digest, _ = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        for place in places:
            made_up = urlsafe_b64encode(json.dumps([digest, place]).encode()).rstrip(b"=").decode()
            assert "this is not a cursor" in _refusal(await pages.get(cursor=made_up)), (name, place)


async def test_the_longest_key_fits_into_a_cursor(site: Site) -> None:
    stage = Stage(site, site.seeds)
    key = "\x01" * 4_096
    for name in ("a", key, "b"):
        columns = {"limit_value": 1, "value": 1, "window_us": 10**15, "last_refill_at": stage.at(0)}
        await stage.insert("rate_limit", key=name, **columns)
    pages = reader(stage, site.client, LISTS["rate limits key ASC"])
    told: list[str] = []
    page = await pages.page(limit=1)
    while page.rows:
        told += [row["key"] for row in page.rows]
        page = await pages.page(limit=1, cursor=page.next_cursor)
    assert sorted(told) == sorted(["a", key, "b"])

"""The OpenAPI document tells the truth: requests made from it, right ones and wrong ones, against a running engine.

Whatever is sent, no answer is a 5xx, every status is documented, and every body has the documented shape. What needs
credentials refuses those who have none. The requests are drawn by Hypothesis from a fixed seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import asyncpg
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from broadaxe.app import App
from broadaxe.config import Settings
from broadaxe.core.definition import TaskSpec
from broadaxe.rest.app import create_http_app
from broadaxe.rest.identity import Access
from broadaxe.rest.settings import HttpSettings
from broadaxe.storage import accounts
from broadaxe.storage.accounts import Role
from broadaxe.storage.ids import new_id
from tests.conftest import TEMPLATE, with_database
from tests.rest.conftest import Seeds, make_account
from tests.rest.test_roles import routes

EXAMPLES = {GenerationMode.POSITIVE: 6, GenerationMode.NEGATIVE: 4}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

#: The document does not depend on what the application is given, so it is there before anything runs.
DOCUMENT = create_http_app(
    pool=cast(Any, None),
    engine=cast(Any, None),
    verifier=cast(Any, None),
    settings=HttpSettings(server_url="http://127.0.0.1:1", grpc_address="127.0.0.1:2"),
).openapi()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS: dict[str, APIOperation] = {
    found.ok().definition.raw["operationId"]: found.ok()
    for found in SCHEMA.get_all_operations()
    # A stream has no end to look at.
    if "text/event-stream" not in str(found.ok().definition.raw["responses"])
}
GUARDED = [name for name, operation in OPERATIONS.items() if operation.definition.raw["security"]]
#: Deletes things that other operations are asked about, so it is asked about nothing but what does not exist.
HARMFUL = {"delete_workflow", "delete_webhook", "delete_cron", "delete_schedule", "delete_filter", "revoke_token"}


#: What the engine writes by itself, whoever asks.
OF_THE_ENGINE = {"worker", "lease", "audit_chain"}


def test_no_shape_shows_the_module_it_stands_in() -> None:
    # That is what FastAPI calls two of the same name, and clients are made from these names.
    assert [name for name in DOCUMENT["components"]["schemas"] if "__" in name] == []


@dataclass(frozen=True, slots=True)
class Running:
    """An engine, what exists in it by the name of the path parameter, and a person who owns it."""

    url: str
    known: dict[str, str]
    log_in: Callable[[], str]
    """A new session's cookie."""
    quiet: Quiet


@dataclass(frozen=True, slots=True)
class Quiet:
    """A tenant of the same engine that nobody may change, so that whatever changes in it was changed by those who may
    not: a person for each role but the owner's, and one of another tenant."""

    running: Callable[[], Running]
    """The same engine as its owner sees it."""
    log_in: Callable[[Role | None], str]
    """A new session's cookie of the one with this role; None for who is not in it."""
    contents: Callable[[], dict[str, str]]
    """A digest of the rows of each table."""


@pytest.fixture(scope="module")
def running(postgres: str, _fixture_loop: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    name = f"described_{new_id().replace('-', '')}"
    dsn = with_database(postgres, name)

    async def start() -> tuple[App, asyncpg.Pool, Running]:
        server = await asyncpg.connect(postgres)
        await server.execute(f"create database {name} template {TEMPLATE}")
        await server.close()
        pool = await asyncpg.create_pool(dsn, min_size=1, max_size=2)
        owner = await make_account(pool, "Ada", "ada@example.com")
        tenant = await accounts.create_tenant(pool, "Default", "default", owner.id)
        known = {"tenant": tenant.id} | await _fill(Seeds(pool, tenant.id))
        keeper = await make_account(pool, "Kim", "kim@example.com")
        kept = await accounts.create_tenant(pool, "Quiet", "quiet", keeper.id)
        kept_known = {"tenant": kept.id} | await _fill(Seeds(pool, kept.id))
        others: dict[Role | None, accounts.Account] = {}
        for role in (Role.ADMIN, Role.MEMBER, Role.VIEWER, None):
            others[role] = await make_account(pool, f"{role}", f"{role}@example.com".lower())
            await accounts.add_member(pool, tenant.id if role is None else kept.id, others[role].id, role or Role.OWNER)
        app = await App.start(
            Settings(
                database_url=dsn,
                grpc_port=0,
                http_port=0,
                data_dir=tmp_path_factory.mktemp("described"),
                secret_key=(bytes(32),),
            )
        )

        def logged_in(account: accounts.Account) -> str:
            return cast(str, _fixture_loop.run(accounts.open_session(pool, account.id)))

        quiet = Quiet(
            running=lambda: Running(app.http_url, kept_known, lambda: logged_in(keeper), quiet),
            log_in=lambda role: logged_in(others[role]),
            contents=lambda: cast(dict[str, str], _fixture_loop.run(_contents(pool, kept.id))),
        )
        return app, pool, Running(app.http_url, known, lambda: logged_in(owner), quiet)

    app, pool, found = _fixture_loop.run(start())
    _make_over_http(found)
    _make_over_http(found.quiet.running())
    yield found
    _fixture_loop.run(app.stop())
    _fixture_loop.run(pool.close())


async def _fill(seeds: Seeds) -> dict[str, str]:
    """Rows of every kind that is read."""
    single = await seeds.single()
    tasks = (TaskSpec(name="one", action_id="w:one"), TaskSpec(name="two", action_id="w:two", parents=("one",)))
    dag = await seeds.workflow("w", tasks, input_json_schema='{"type":"object"}')
    worker = await seeds.worker()
    event = await seeds.event("user:created", scope="acme", additional_metadata='{"k":"v"}')
    done = {"status": "COMPLETED", "output": '{"text":"hi"}', "worker_id": worker, "event_count": 3}
    run = await seeds.run(
        single, status="COMPLETED", metadata={"k": "v"}, triggering_event_id=event, input='{"n":1}', task=done
    )
    await seeds.history(run, ("CREATED", 0), ("STARTED", 0, {"worker_id": worker}), ("FINISHED", 0))
    failed = await seeds.run(dag, status="FAILED")
    await seeds.task(dag, failed, "one", status="FAILED", error="no")
    await seeds.run(single, status="FAILED", parent_task_id=run, task={"status": "FAILED", "error": "no"})
    insert = (
        "insert into broadaxe.rate_limit (tenant_id, key, limit_value, value, window_us, last_refill_at) "
        "values ($1, 'openai', 10, 7, 60000000, now())"
    )
    await seeds.pool.execute(insert, seeds.tenant_id)
    return {"run": run, "task": run, "workflow": single[0], "worker": worker, "event": event}


async def _contents(pool: asyncpg.Pool, tenant_id: str) -> dict[str, str]:
    """A digest of a tenant's rows by table. Of the audit log what was done to it: who was refused stands there as well,
    and what its people did with their own accounts."""
    tables = await pool.fetch(
        "select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'"
        " where n.nspname = 'broadaxe' and c.relkind in ('r', 'p') and not c.relispartition"
    )
    found = {}
    for (table,) in tables:
        if table not in OF_THE_ENGINE:
            done = "and refusal = '' and action not like 'account.%'" if table == "audit_entry" else ""
            digest = "select md5(string_agg(t::text, ' ' order by t::text))"
            rows = f"from broadaxe.{table} t where tenant_id = $1 {done}"
            found[table] = await pool.fetchval(f"{digest} {rows}", tenant_id) or ""
    return found


def _make_over_http(running: Running) -> None:
    """What only the engine makes."""
    tenant = running.known["tenant"]
    with _session(running) as session:

        def post(path: str, body: dict[str, Any]) -> Any:
            answer = session.post(f"{running.url}/api/v1/{path}", json=body, timeout=60)
            assert answer.status_code == 200, answer.text
            return answer.json()

        common = {"input": {}, "additionalMetadata": {}}
        cron = {"cronName": "nightly", "cronExpression": "0 0 1 1 *"} | common
        made = post(f"tenants/{tenant}/workflows/greet/crons", cron)
        running.known["cron"] = made["metadata"]["id"]
        at = (datetime.now(UTC) + timedelta(days=300)).isoformat()
        made = post(f"tenants/{tenant}/workflows/greet/scheduled", {"triggerAt": at} | common)
        running.known["scheduled"] = made["metadata"]["id"]
        body: dict[str, Any] = {"workflowId": running.known["workflow"], "expression": "true", "scope": "acme"}
        running.known["filter"] = post(f"stable/tenants/{tenant}/filters", body)["metadata"]["id"]
        auth = {"username": "ada", "password": "s3cret"}
        body = {"name": "hook", "sourceName": "GENERIC", "eventKeyExpression": "'k'", "authType": "BASIC", "auth": auth}
        running.known["webhook"] = post(f"stable/tenants/{tenant}/webhooks", body)["name"]


def _session(running: Running) -> requests.Session:
    session = requests.Session()
    # As a header: a cookie jar keeps none for a bare address with a port.
    session.headers["Cookie"] = f"hatchet={running.log_in()}"
    return session


def _cases(operation: APIOperation, mode: GenerationMode) -> st.SearchStrategy[tuple[Case, bool]]:
    return st.tuples(operation.as_strategy(generation_mode=mode), st.sampled_from([True, True, True, False]))


def _ask(running: Running, name: str, mode: GenerationMode) -> None:
    operation = OPERATIONS[name]
    session = _session(running)
    sent = 0

    @settings(
        max_examples=EXAMPLES[mode],
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(drawn=_cases(operation, mode))
    def send(drawn: tuple[Case, bool]) -> None:
        nonlocal sent
        case, is_known = drawn
        if is_known and name not in HARMFUL:
            for parameter in case.path_parameters or {}:
                # A name is asked for where a workflow is made something for, an id everywhere else.
                value = running.known.get(parameter)
                if value is not None:
                    case.path_parameters[parameter] = value
        elif "tenant" in (case.path_parameters or {}):
            case.path_parameters["tenant"] = running.known["tenant"]
        if name == "logout":
            session.headers["Cookie"] = f"hatchet={running.log_in()}"
        response = case.call(base_url=running.url, session=session, timeout=60)
        case.validate_response(response, checks=CHECKS)
        sent += 1

    with session:
        try:
            send()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE, "no request could be made from the document"
            assert not operation.definition.raw.get("requestBody"), "a body can always be wrong"
    assert sent or mode is GenerationMode.NEGATIVE


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_answers_as_documented(running: Running, name: str) -> None:
    _ask(running, name, GenerationMode.POSITIVE)


WRONG = [name for name, operation in OPERATIONS.items() if operation.definition.raw.get("requestBody")]
WRONG += [name for name, operation in OPERATIONS.items() if operation.definition.raw.get("parameters")]


@pytest.mark.parametrize("name", dict.fromkeys(WRONG))
def test_a_wrong_request_is_answered_as_documented(running: Running, name: str) -> None:
    _ask(running, name, GenerationMode.NEGATIVE)


@pytest.mark.parametrize("name", GUARDED)
def test_without_credentials_an_operation_refuses(running: Running, name: str) -> None:
    @settings(
        max_examples=1,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=OPERATIONS[name].as_strategy())
    def send(case: Case) -> None:
        for parameter in case.path_parameters or {}:
            case.path_parameters[parameter] = running.known.get(parameter, case.path_parameters[parameter])
        for headers in ({}, {"Authorization": "Bearer eyJ.x.y"}, {"Cookie": "hatchet=x"}):
            response = case.call(base_url=running.url, headers=dict(headers), timeout=60)
            assert response.status_code == 403, (case, response.content[:500])
            assert response.json()["errors"][0]["description"]

    send()


def test_who_may_not_change_something_does_not(running: Running) -> None:
    """Requests of a viewer, of a stranger and of those whose role does not reach: they are refused as the route
    declares, and the tenant is afterwards what it was."""
    accesses = {(tried.method, tried.path): tried.access for tried in routes()}
    quiet = running.quiet
    known = quiet.running().known
    before = quiet.contents()
    sent = 0

    def ask(operation: APIOperation, access: Access, roles: list[Role | None]) -> None:
        @settings(
            max_examples=2,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def send(case: Case) -> None:
            nonlocal sent
            for parameter in case.path_parameters or {}:
                case.path_parameters[parameter] = known.get(parameter, case.path_parameters[parameter])
            is_theirs = bool(known.keys() & set(case.path_parameters or {}))
            for role in roles:
                # Some end the session that asks.
                headers = {"Cookie": f"hatchet={quiet.log_in(role)}"}
                status = case.call(base_url=running.url, headers=headers, timeout=60).status_code
                sent += 1
                assert status < 500, (role, case)
                if access.role is None or access.is_for_operators or not is_theirs:
                    continue
                if role is None:
                    assert status in (400, 403, 404), (case, status)
                elif not role.reaches(access.role):
                    assert status in (400, 401), (role, case, status)
                else:
                    assert status not in (401, 403), (role, case, status)

        send()

    for operation in OPERATIONS.values():
        access = accesses.get((operation.method.upper(), operation.path))
        if access is None or not access.needs_caller:
            continue
        needed = access.role
        beneath = [role for role in (Role.MEMBER, Role.ADMIN) if needed is not None and not role.reaches(needed)]
        ask(operation, access, [Role.VIEWER, None, *beneath])
    after = quiet.contents()
    assert {table for table, rows in after.items() if rows != before[table]} == set()
    assert sent > 2 * len(GUARDED)

"""Every route, tried with every role: what the routes declare is what happens, and what they declare makes sense."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

import httpx
from fastapi.routing import APIRoute

from broadaxe.core.commands import Reply
from broadaxe.rest import app as http_app
from broadaxe.rest.identity import Access, access_of
from broadaxe.storage import accounts, tokens
from broadaxe.storage.accounts import Role
from broadaxe.storage.ids import new_id
from tests.rest.test_alerts import put_rule

if TYPE_CHECKING:
    from .conftest import Site

READING: Final = frozenset({"GET", "HEAD"})
#: Ways to change something that are open to whoever reads: they change nothing of the tenant's.
HARMLESS: Final = frozenset({"POST /api/v1/stable/tenants/{tenant}/cel/debug"})
#: What would take the ground from under those that come after it.
LAST: Final = frozenset({"/api/v1/users/logout"})


class Tried(NamedTuple):
    method: str
    path: str
    access: Access


def routes() -> Iterator[Tried]:
    for router in http_app.ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            for method in route.methods:
                yield Tried(method, route.path, access_of(route.dependant))


class Asker(NamedTuple):
    """Somebody with a role in the tenant; None for a person who is not in it."""

    role: Role | None
    is_token: bool
    headers: dict[str, str]

    def expected(self, access: Access) -> set[int]:
        """What a refusal may be; empty for who is let in."""
        if not access.needs_caller:
            return set()
        if access.is_for_operators:
            return {403} if self.is_token else {401}
        if access.role is None:
            return {403} if self.is_token else set()
        if self.is_token and not access.takes_tokens:
            return {401}
        if self.role is None:
            # What is found by its own id is not there for a stranger.
            return {403, 404}
        return set() if self.role.reaches(access.role) else {401}


async def test_every_route_lets_in_whom_its_table_says_and_nobody_else(site: Site) -> None:
    pool, tenant_id = site.seeds.pool, site.seeds.tenant_id
    askers = []
    for role in (*Role, None):
        person = site.owner if role is Role.OWNER else await site.seeds.account("P", f"{role}@example.com".lower())
        if role is not None:
            await accounts.add_member(pool, tenant_id, person.id, role)
        cookie = await accounts.open_session(pool, person.id)
        askers.append(Asker(role, False, {"cookie": f"hatchet={cookie}"}))
    for role in tokens.TOKEN_ROLES:
        issued = await tokens.create_token(pool, tenant_id, role, 3600, site.url, "127.0.0.1:2", role=role)
        askers.append(Asker(role, True, {"authorization": f"Bearer {issued.token}"}))
    made = await site.seeds.single()
    run_id = await site.seeds.run(made, task={})
    ids = {
        "tenant": tenant_id,
        "workflow": made[0],
        "run": run_id,
        "task": run_id,
        "worker": await site.seeds.worker(),
        "event": await site.seeds.event("a:b"),
        "token": (await tokens.create_token(pool, tenant_id, "t", 3600, site.url, "127.0.0.1:2")).id,
    }
    for name, kind in (("group", "EMAIL"), ("slack", "SLACK")):
        ids[name] = new_id()
        await site.seeds._insert("alert_channel", id=ids[name], name=name, kind=kind, target=b"", shown="")
    # Nobody deletes a channel that a rule uses, so each of them finds it there.
    await put_rule(site, ids["group"], channel_ids=[ids["group"], ids["slack"]])
    site.engine.answer = lambda command: _answered((run_id,))
    wrong = []
    for method, path, access in sorted(routes(), key=lambda route: route.path in LAST):
        query = {"tenant": tenant_id, "dag_ids": run_id} if path.endswith("/dags/tasks") else {}
        filled = path
        for name in [part[1:-1] for part in path.split("/") if part.startswith("{")]:
            filled = filled.replace(f"{{{name}}}", ids.get(name) or new_id())
        for asker in askers:
            body = None if method in READING else {"input": {}}
            async with site.anonymous.stream(method, filled, params=query, json=body, headers=asker.headers) as answer:
                status = answer.status_code
            expected = asker.expected(access)
            if (status not in expected) if expected else (status in (401, 403)):
                wrong.append(f"{method} {path} for {asker.role} (token: {asker.is_token}): {status}")
        refused = await _unknown(site.anonymous, method, filled)
        if access.needs_caller != (refused == 403):
            wrong.append(f"{method} {path} without credentials: {refused}")
    assert wrong == [], "\n".join(wrong)


async def _answered(reply: Reply) -> Reply:
    return reply


async def _unknown(client: httpx.AsyncClient, method: str, path: str) -> int:
    async with client.stream(method, path, json=None if method in READING else {"input": {}}) as answer:
        return answer.status_code


def test_whoever_reads_changes_nothing() -> None:
    changing = {f"{method} {path}" for method, path, access in routes() if method not in READING}
    for_readers = {f"{method} {path}" for method, path, access in routes() if access.role is Role.VIEWER}
    assert changing & for_readers == HARMLESS


def test_a_route_of_a_tenant_asks_for_a_role_in_it() -> None:
    without = [
        f"{method} {path}"
        for method, path, access in routes()
        if access.role is None and ("{" in path) and access.needs_caller and not access.is_for_operators
    ]
    # A person's own.
    assert without == ["DELETE /api/v1/stable/users/sessions/{session}"]

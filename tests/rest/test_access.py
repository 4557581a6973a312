"""Who gets in: tokens, sessions, roles, tenants, and the open mode's guards."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from ipaddress import ip_network
from typing import TYPE_CHECKING

import httpx
import pytest
from hatchet_sdk.clients.rest.models.list_api_tokens_response import ListAPITokensResponse
from hatchet_sdk.clients.rest.models.tenant import Tenant
from hatchet_sdk.clients.rest.models.user import User
from hatchet_sdk.clients.rest.models.user_tenant_memberships_list import UserTenantMembershipsList

from broadaxe.core.commands.asked import Initiator, InitiatorKind
from broadaxe.errors import ResourceExhausted
from broadaxe.rest.app import settle
from broadaxe.rest.settings import Entry, entry_link
from broadaxe.storage import accounts, invites, tokens
from broadaxe.storage.accounts import Role
from broadaxe.storage.ids import new_id

if TYPE_CHECKING:
    from .conftest import Seeds, Serve, Site

PASSWORD = "Correct-horse-7"


def _admit(site: Site) -> None:
    """As an engine does when it prints the link."""
    settings = site.app.state.context.settings
    settle(site.app, replace(settings, entry=Entry(site.owner.id, "the-key"), cookie_name="hatchet-1"))


async def _log_in(site: Site, email: str = "ada@example.com") -> None:
    answer = await site.anonymous.post("/api/v1/users/login", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    assert User.from_dict(answer.json()) is not None


async def test_without_credentials_everything_is_forbidden(site: Site) -> None:
    for path in ("/api/v1/users/current", site.tenant, f"{site.tenant}/worker", f"/api/v1/workflows/{new_id()}"):
        answer = await site.anonymous.get(path)
        assert answer.status_code == 403, path
        assert answer.json()["errors"][0]["description"]
    bad = await site.anonymous.get(site.tenant, headers={"Authorization": "Bearer eyJ.x.y"})
    assert bad.status_code == 403


async def test_a_session_begins_and_ends(site: Site) -> None:
    wrong = await site.anonymous.post(
        "/api/v1/users/login", json={"email": "ada@example.com", "password": "Wrong-horse-7"}
    )
    unknown = await site.anonymous.post("/api/v1/users/login", json={"email": "bob@example.com", "password": PASSWORD})
    assert (wrong.status_code, unknown.status_code) == (400, 400)
    assert wrong.json() == unknown.json()
    await _log_in(site)
    cookie = next(iter(site.anonymous.cookies.jar))
    assert (cookie.name, cookie.path, cookie.has_nonstandard_attr("HttpOnly")) == ("hatchet", "/", True)
    stored = await site.seeds.pool.fetchval(
        "select count(*) from broadaxe.session where token_hash::text like $1", cookie.value
    )
    assert stored == 0
    assert (await site.anonymous.get("/api/v1/users/current")).json()["email"] == "ada@example.com"
    memberships = UserTenantMembershipsList.from_dict((await site.anonymous.get("/api/v1/users/memberships")).json())
    assert memberships is not None
    assert [(row.role, row.tenant and row.tenant.slug) for row in memberships.rows or []] == [("OWNER", "default")]
    assert (await site.anonymous.get("/api/v1/users/invites")).json() == {"rows": []}
    assert (await site.anonymous.post("/api/v1/users/logout")).status_code == 200
    site.anonymous.cookies.set("hatchet", cookie.value or "")
    assert (await site.anonymous.get("/api/v1/users/current")).status_code == 403, "the old cookie is worthless"


async def test_guessing_passwords_is_bounded(site: Site) -> None:
    statuses = [
        (await site.anonymous.post("/api/v1/users/login", json={"email": "a@b", "password": "x"})).status_code
        for _ in range(11)
    ]
    assert statuses == [400] * 10 + [429]
    await _log_in(site)  # Another account is not locked out by it.


async def test_behind_a_proxy_attempts_are_counted_for_each_client(serve: Serve) -> None:
    site = await serve(trusted_proxies=(ip_network("127.0.0.1"),))
    body = {"email": "ada@example.com", "password": "x"}
    stranger, owner = {"X-Forwarded-For": "203.0.113.9"}, {"X-Forwarded-For": "203.0.113.9, 198.51.100.1"}
    for expected in [400] * 10 + [429]:
        answer = await site.anonymous.post("/api/v1/users/login", json=body, headers=stranger)
        assert answer.status_code == expected
    right = await site.anonymous.post("/api/v1/users/login", json=body | {"password": PASSWORD}, headers=owner)
    assert right.status_code == 200


async def test_a_client_does_not_choose_the_address_it_is_counted_under(site: Site) -> None:
    statuses = [
        (
            await site.anonymous.post(
                "/api/v1/users/login",
                json={"email": "ada@example.com", "password": "x"},
                headers={"X-Forwarded-For": f"203.0.113.{number}"},
            )
        ).status_code
        for number in range(11)
    ]
    assert statuses == [400] * 10 + [429]


async def test_a_tenant_is_closed_to_others(site: Site) -> None:
    made = await site.seeds.single()
    run_id = await site.seeds.run(made, task={})
    worker_id = await site.seeds.worker()
    stranger = await site.seeds.account("Eve", "eve@example.com")
    theirs = await accounts.create_tenant(site.seeds.pool, "Eve's", "eve", stranger.id)
    await _log_in(site, "eve@example.com")
    issued = await tokens.create_token(site.seeds.pool, theirs.id, "t", 60, site.url, "127.0.0.1:2")
    for headers in ({}, {"Authorization": f"Bearer {issued.token}"}):
        for path in (
            site.tenant,
            f"{site.stable}/task-metrics?since=2025-01-01T00:00:00Z",
            f"/api/v1/tenants/{new_id()}",
        ):
            assert (await site.anonymous.get(path, headers=headers)).status_code == 403, path
        for path in (
            f"/api/v1/stable/tasks/{run_id}",
            f"/api/v1/stable/tasks/{run_id}/logs",
            f"/api/v1/stable/workflow-runs/{run_id}",
            f"/api/v1/workflows/{made[0]}",
            f"/api/v1/workers/{worker_id}",
        ):
            assert (await site.anonymous.get(path, headers=headers)).status_code == 404, path
        refused = await site.anonymous.patch(f"/api/v1/workers/{worker_id}", json={"isPaused": True}, headers=headers)
        assert refused.status_code == 404
    assert site.engine.commands == []


async def test_roles_bound_what_a_person_may_do(site: Site) -> None:
    viewer = await site.seeds.account("Vic", "vic@example.com")
    await accounts.add_member(site.seeds.pool, site.seeds.tenant_id, viewer.id, Role.VIEWER)
    await _log_in(site, "vic@example.com")
    assert (await site.anonymous.get(site.tenant)).status_code == 200
    refused = await site.anonymous.post(f"{site.stable}/tasks/cancel", json={"externalIds": [new_id()]})
    assert refused.status_code == 401
    assert (await site.anonymous.get(f"{site.tenant}/api-tokens")).status_code == 401
    assert site.engine.commands == []


async def test_tokens_are_made_listed_and_revoked_by_people_only(site: Site) -> None:
    assert (await site.client.get(f"{site.tenant}/api-tokens")).status_code == 401
    assert (await site.client.get("/api/v1/users/current")).status_code == 403
    await _log_in(site)
    made = await site.anonymous.post(f"{site.tenant}/api-tokens", json={"name": "ci", "expiresIn": "2160h"})
    token = made.json()["token"]
    head, claims, _ = token.split(".")
    assert head.startswith("ey")
    decoded = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert decoded["sub"] == site.seeds.tenant_id
    assert decoded["grpc_broadcast_address"] == "127.0.0.1:2"
    assert decoded["exp"] - decoded["iat"] == 2160 * 3600
    bearer = {"Authorization": f"Bearer {token}"}
    got = Tenant.from_dict((await site.client.get(site.tenant, headers=bearer)).json())
    assert got is not None
    assert got.version == "V1"
    listed = ListAPITokensResponse.from_dict((await site.anonymous.get(f"{site.tenant}/api-tokens")).json())
    assert listed is not None
    assert {row.name for row in listed.rows or []} == {"ci", "tests"}
    assert token not in str(await site.seeds.pool.fetch("select * from broadaxe.api_token"))
    revoked = await site.anonymous.post(f"/api/v1/api-tokens/{decoded['token_id']}")
    assert (revoked.status_code, revoked.content) == (204, b"")
    site.anonymous.cookies.clear()
    assert (await site.anonymous.get(site.tenant, headers=bearer)).status_code == 403, "at once, in this process"
    forged = f"{head}.{claims}.{'A' * 43}"
    assert (await site.anonymous.get(site.tenant, headers={"Authorization": f"Bearer {forged}"})).status_code == 403


async def test_a_token_has_a_role_and_says_who_made_it(site: Site) -> None:
    await _log_in(site)
    body = {"name": "status page", "role": "VIEWER"}
    assert (await site.anonymous.post(f"{site.tenant}/api-tokens", json=body)).status_code == 200
    for role in ("OWNER", "viewer", None):
        refused = await site.anonymous.post(f"{site.tenant}/api-tokens", json=body | {"role": role})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "role")
    rows = (await site.anonymous.get(f"{site.tenant}/api-tokens")).json()["rows"]
    shown = {row["name"]: (row["role"], row.get("madeBy")) for row in rows}
    assert shown == {"status page": ("VIEWER", "ada@example.com"), "tests": ("ADMIN", None)}


async def test_a_token_is_rotated_and_the_old_one_counts_for_a_while(site: Site) -> None:
    await _log_in(site)
    old = await tokens.create_token(
        site.seeds.pool, site.seeds.tenant_id, "ci", 86_400, site.url, "127.0.0.1:2", role=Role.VIEWER
    )
    rotate = f"/api/v1/stable/api-tokens/{old.id}/rotate"
    for overlap in ("x", "-1h", "800h"):
        refused = await site.anonymous.post(rotate, json={"overlap": overlap})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "overlap"), overlap
    answer = (await site.anonymous.post(rotate, json={"overlap": "1h"})).json()
    new = answer["token"]
    rows = [
        row for row in (await site.anonymous.get(f"{site.tenant}/api-tokens")).json()["rows"] if row["name"] == "ci"
    ]
    assert [row["role"] for row in rows] == ["VIEWER", "VIEWER"]
    assert rows[1]["metadata"]["id"] == old.id and rows[1]["expiresAt"] < rows[0]["expiresAt"]
    assert rows[1]["expiresAt"] == answer["oldExpiresAt"]
    assert (rows[1]["replacedBy"], rows[0].get("replacedBy")) == (rows[0]["metadata"]["id"], None)
    site.anonymous.cookies.clear()
    for token in (new, old.token):
        bearer = {"Authorization": f"Bearer {token}"}
        assert (await site.anonymous.get(site.tenant, headers=bearer)).status_code == 200


async def test_a_token_for_a_topic_is_made_listed_and_rotated_as_one(site: Site) -> None:
    await _log_in(site)
    address, topic = f"{site.tenant}/api-tokens", {"namespace": "team", "name": "orders/eu"}
    for wrong, field in (
        ({"topic": {"name": ""}}, "topic"),
        ({"topic": {"name": "x" * 256}}, "topic"),
        ({"topic": topic, "role": "ADMIN"}, "role"),
    ):
        refused = await site.anonymous.post(address, json={"name": "page"} | wrong)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, field), wrong
    assert (await site.anonymous.post(address, json={"name": "page", "topic": topic})).status_code == 200
    (row,) = [row for row in (await site.anonymous.get(address)).json()["rows"] if row["name"] == "page"]
    assert (row["role"], row["topic"]) == ("VIEWER", topic)
    rotated = await site.anonymous.post(f"/api/v1/stable/api-tokens/{row['metadata']['id']}/rotate", json={})
    assert rotated.status_code == 200
    rows = (await site.anonymous.get(address)).json()["rows"]
    assert [row["topic"] for row in rows if row["name"] == "page"] == [topic, topic]
    site.anonymous.cookies.clear()
    headers = {"Authorization": f"Bearer {rotated.json()['token']}"}
    for path, operations in site.app.openapi()["paths"].items():
        for method in operations.keys() & {"get", "post", "put", "patch", "delete"}:
            filled = re.sub(r"\{[^}]+\}", new_id(), path.replace("{tenant}", site.seeds.tenant_id))
            answer = await site.anonymous.request(
                method, filled, headers=headers, json=None if method in ("get", "delete") else {"input": {}}
            )
            is_open = path in OPEN or path == DOOR or "/users/" in path or not path.startswith("/api/v1/")
            assert is_open or answer.status_code in (401, 404), (method, path, answer.text)
            assert answer.status_code not in (200, 201, 204) or is_open, (method, path, answer.text)
    assert site.engine.commands == []
    for tried in (f"{site.stable}/streams/-/orders/eu", f"{site.stable}/streams/team/orders"):
        assert (await site.anonymous.get(tried, headers=headers)).status_code == 401
    theirs = f"{site.stable}/streams/team/orders/eu"
    assert (await site.anonymous.post(theirs, content=b"x", headers=headers)).status_code == 401


async def test_changing_the_password_ends_other_sessions(site: Site) -> None:
    other = await accounts.open_session(site.seeds.pool, site.owner.id)
    await _log_in(site)
    weak = await site.anonymous.post("/api/v1/users/password", json={"password": PASSWORD, "newPassword": "short"})
    assert weak.json()["errors"][0]["field"] == "newPassword"
    body = {"password": PASSWORD, "newPassword": "Another-horse-8"}
    assert (await site.anonymous.post("/api/v1/users/password", json=body)).status_code == 200
    assert (await site.anonymous.get("/api/v1/users/current")).status_code == 200
    assert await accounts.person_of_session(site.seeds.pool, other) is None


async def test_signing_up_can_be_allowed_and_leads_to_a_tenant(serve: Serve) -> None:
    site = await serve(allows_signup=True)
    body = {"name": "Bob", "email": "Bob@Example.com", "password": PASSWORD}
    assert (await site.anonymous.post("/api/v1/users/register", json=body)).status_code == 200
    taken = await site.anonymous.post("/api/v1/users/register", json=body)
    assert (taken.status_code, taken.json()["errors"][0]["field"]) == (400, "email")
    made = await site.anonymous.post("/api/v1/tenants", json={"name": "Bob's", "slug": "bobs-1"})
    assert (await site.anonymous.get(f"/api/v1/tenants/{made.json()['metadata']['id']}")).status_code == 200
    again = await site.anonymous.post("/api/v1/tenants", json={"name": "Bob's", "slug": "bobs-1"})
    assert (again.status_code, again.json()["errors"][0]["field"]) == (400, "slug")
    renamed = await site.anonymous.patch(f"/api/v1/tenants/{made.json()['metadata']['id']}", json={"name": "New"})
    assert renamed.json()["name"] == "New"


async def test_signing_up_is_off_by_default(site: Site) -> None:
    answer = await site.anonymous.post(
        "/api/v1/users/register", json={"name": "B", "email": "b@example.com", "password": PASSWORD}
    )
    assert answer.status_code == 400


@pytest.mark.parametrize("host", ["[", "[::1", "a@127.0.0.1", "127.0.0.1:abc", "127.0.0.1/a", ""])
async def test_a_host_that_cannot_be_read_is_not_this_machine(serve: Serve, host: str) -> None:
    site = await serve(open_mode=True)
    answer = await site.anonymous.get("/api/v1/users/current", headers={"Host": host})
    assert answer.status_code == 403


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "null", "x"])
async def test_an_origin_that_cannot_be_read_is_another(serve: Serve, origin: str) -> None:
    site = await serve(open_mode=True)
    answer = await site.anonymous.post(f"{site.tenant}/api-tokens", json={"name": "n"}, headers={"Origin": origin})
    assert answer.status_code == 403


async def test_open_mode_lets_this_machine_in_and_nobody_elses_pages(serve: Serve) -> None:
    site = await serve(open_mode=True)
    assert (await site.anonymous.get("/api/v1/meta")).json()["authDisabled"] is True
    assert (await site.anonymous.get("/api/v1/users/current")).json()["email"] == "ada@example.com"
    rebound = await site.anonymous.get("/api/v1/users/current", headers={"Host": "evil.example:8080"})
    assert rebound.status_code == 403
    for header in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via"):
        forwarded = await site.anonymous.get("/api/v1/users/current", headers={header: "203.0.113.9"})
        assert forwarded.status_code == 403, header
        assert "not through a proxy" in forwarded.text
    elsewhere = httpx.ASGITransport(app=site.app, client=("203.0.113.9", 4711))
    async with httpx.AsyncClient(transport=elsewhere, base_url="http://localhost") as stranger:
        assert (await stranger.get("/api/v1/users/current")).status_code == 403
        assert (await stranger.post(f"{site.tenant}/api-tokens", json={"name": "n"})).status_code == 403
    url, body = f"{site.stable}/tasks/cancel", {"externalIds": [new_id()]}
    foreign = await site.anonymous.post(url, json=body, headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403
    sandboxed = await site.anonymous.post(url, json=body, headers={"Origin": "null"})
    assert sandboxed.status_code == 403
    unnamed = await site.anonymous.post(url, json=body, headers={"Sec-Fetch-Site": "cross-site"})
    assert unnamed.status_code == 403
    assert site.engine.commands == []
    assert (await site.anonymous.post(url, json=body, headers={"Origin": site.url})).status_code == 200
    bad_token = await site.anonymous.get(site.tenant, headers={"Authorization": "Bearer eyJ.x.y"})
    assert bad_token.status_code == 403, "a wrong token is told so, it does not become the administrator"


async def test_the_printed_link_lets_a_browser_in_and_nothing_else_does(site: Site) -> None:
    _admit(site)
    assert (await site.anonymous.get("/api/v1/meta")).json()["entryLinkPrinted"] is True
    refused = await site.anonymous.get("/api/v1/users/current")
    assert refused.status_code == 403
    assert refused.json()["errors"][0]["description"].startswith("open the link that the engine printed")
    for wrong in ("/enter", "/enter?key=", "/enter?key=the-kex", "/enter?key=the-key2"):
        answer = await site.anonymous.get(wrong)
        assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
        assert "Open the one that the engine printed" in answer.text
    entered = await site.anonymous.get(entry_link(site.url, "the-key"))
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    assert entered.headers["set-cookie"].startswith("hatchet-1=")
    assert (await site.anonymous.get("/api/v1/users/current")).json()["email"] == "ada@example.com"
    again = await site.anonymous.get("/enter?key=of-an-earlier-engine")
    assert (again.status_code, "set-cookie" in again.headers) == (303, False), "who is in is led on"


async def test_without_a_key_no_link_lets_in(site: Site) -> None:
    assert (await site.anonymous.get("/enter?key=")).status_code == 403


@pytest.mark.parametrize(
    ("to", "place"),
    [
        ("/runs/1?a=b", "/runs/1?a=b"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://localhost:8000/x", "http://localhost:8000/x"),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("http://127.0.0.1@evil.example", "/"),
        ("http://evil@127.0.0.1", "/"),
        ("javascript:alert(1)", "/"),
        ("http://[", "/"),
        ("", "/"),
    ],
)
async def test_the_link_leads_to_this_machine_only(site: Site, to: str, place: str) -> None:
    _admit(site)
    entered = await site.anonymous.get(entry_link(site.url, "the-key", to))
    assert entered.headers["location"] == place


async def test_other_origins_may_call_with_a_token_only(site: Site) -> None:
    origin = {"Origin": "https://app.example"}
    preflight = await site.anonymous.options(
        site.tenant, headers=origin | {"Access-Control-Request-Headers": "authorization,content-type"}
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in preflight.headers
    plain = await site.anonymous.options(
        site.tenant, headers=origin | {"Access-Control-Request-Headers": "content-type"}
    )
    assert "access-control-allow-origin" not in plain.headers
    assert (await site.client.get(site.tenant, headers=origin)).headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in (await site.anonymous.get("/api/v1/meta", headers=origin)).headers


async def test_resource_exhausted_is_what_the_limit_raises(site: Site) -> None:
    from starlette.requests import Request

    from broadaxe.rest.attempts import ATTEMPTS_MAX, WINDOW_S, Attempts

    now = [0.0]
    attempts = Attempts(clock=lambda: now[0])
    request = Request({"type": "http", "client": ("10.0.0.1", 1), "headers": [], "app": site.app})
    for _ in range(ATTEMPTS_MAX):
        attempts.count(request, "a@b")
    with pytest.raises(ResourceExhausted):
        attempts.count(request, " A@B")
    attempts.count(request, "c@d")
    now[0] += WINDOW_S + 1
    attempts.count(request, "a@b")


#: What anybody may ask, and the door of webhooks, whose senders prove themselves otherwise.
OPEN = {
    "/api/v1/stable/invites/look",
    "/api/v1/stable/invites/join",
    "/api/v1/stable/invites/reject",
    "/api/v1/stable/openid/providers",
    "/api/v1/stable/openid/{provider}/begin",
    "/api/v1/stable/openid/{provider}/callback",
    "/api/v1/stable/setup",
    "/api/ready",
    "/api/live",
    "/api/v1/version",
    "/api/v1/meta",
    "/api/v1/meta/integrations",
    "/api/v1/cloud/metadata",
    "/api/v1/control-plane/metadata",
    "/api/v1/users/register",
    "/api/v1/users/login",
}
DOOR = "/api/v1/stable/tenants/{tenant}/webhooks/{webhook}"
SECRET = "theirs-alone"


async def _things(seeds: Seeds) -> dict[str, str]:
    """One of everything a path can name, with SECRET wherever a text can be."""
    now = seeds.now
    made = await seeds.single(SECRET)
    run_id = await seeds.run(made, task={"error": SECRET}, display_name=SECRET, metadata={"a": SECRET})
    await seeds.history(run_id, ("FAILED", 0, {"message": SECRET}))
    times = {"created_at": now, "updated_at": now}
    named = {"id": new_id(), "workflow_id": made[0], "input": f'{{"a":"{SECRET}"}}'} | times
    await seeds._insert("cron", **named, expression="@daily", name=SECRET, is_declared=False, is_enabled=True)
    await seeds._insert("schedule", **named, trigger_at=now)
    await seeds._insert(
        "event_filter",
        **({"id": new_id(), "workflow_id": made[0], "is_declared": False} | times),
        scope=SECRET,
        expression=SECRET,
        payload="{}",
    )
    columns = {"id": new_id(), "name": "door", "source": "GENERIC", "proof": "BASIC", "secret": b""}
    await seeds._insert("webhook", **columns, event_key_expression=SECRET, returns_event=True)
    await seeds._insert(
        "log_line",
        id=new_id(),
        task_id=run_id,
        retry_count=0,
        level="INFO",
        message=SECRET,
        created_at=now,
    )
    await seeds._insert(
        "rate_limit", key=SECRET, limit_value=1, value=1, window_us=1_000_000, last_refill_at=now, paused_until=None
    )
    channel = {"id": new_id(), "name": SECRET, "kind": "SLACK", "target": b"", "shown": SECRET}
    await seeds._insert("alert_channel", **channel)
    rule = {"id": new_id(), "name": SECRET, "kind": "RUN_FAILED", "workflow": "", "template": SECRET} | times
    numbers = {"threshold": 1, "window_us": 60_000_000, "quiet_us": 0}
    await seeds._insert("alert_rule", **rule, **numbers, channel_ids=[channel["id"]], is_enabled=True)
    mails = {"id": new_id(), "name": f"{SECRET} mails", "kind": "EMAIL", "target": b"", "shown": SECRET}
    await seeds._insert("alert_channel", **mails)
    issued = await tokens.create_token(seeds.pool, seeds.tenant_id, SECRET, 60, "http://127.0.0.1:1", "127.0.0.1:2")
    return {
        "channel": str(channel["id"]),
        "slack": str(channel["id"]),
        "group": str(mails["id"]),
        "rule": str(rule["id"]),
        "tenant": seeds.tenant_id,
        "workflow": made[0],
        "version": made[1],
        "run": run_id,
        "task": run_id,
        "trace": run_id.replace("-", ""),
        "worker": await seeds.worker(name=SECRET),
        "event": await seeds.event(SECRET, payload=f'{{"a":"{SECRET}"}}'),
        "cron": named["id"],
        "scheduled": named["id"],
        "fingerprint": "0" * 16,
        "filter": str(await seeds.pool.fetchval("select id from broadaxe.event_filter")),
        "webhook": "door",
        "token": issued.id,
        "member": str(await seeds.pool.fetchval("select id from broadaxe.membership")),
        "invite": await _invited(seeds),
    }


async def _invited(seeds: Seeds) -> str:
    by = Initiator(InitiatorKind.NOBODY, "", "somebody")
    invite, _ = await invites.make(seeds.pool, seeds.tenant_id, f"{SECRET}@example.com", Role.VIEWER, by)
    return invite.id


async def test_every_route_knows_whose_things_it_touches(site: Site) -> None:
    theirs = await _things(site.seeds)
    stranger = await site.seeds.account("Eve", "eve@example.com")
    mine = await accounts.create_tenant(site.seeds.pool, "Eve's", "eve", stranger.id)
    issued = await tokens.create_token(site.seeds.pool, mine.id, "t", 600, site.url, "127.0.0.1:2")
    await _log_in(site, "eve@example.com")
    query = {
        "since": "2020-01-01T00:00:00Z",
        "only_tasks": "true",
        "include_payloads": "true",
        "run_external_id": theirs["run"],
        "dag_ids": theirs["run"],
        "external_ids": theirs["run"],
        "taskExternalIds": theirs["task"],
        "workflow_ids": theirs["workflow"],
        "parent_task_external_id": theirs["task"],
        "key": "key",
    }
    body = {"isPaused": True, "input": {}, "name": "mine", "slug": "mine", "triggerAt": "2030-01-01T00:00:00Z"}
    # The first asks for the other tenant outright, the second for its things through a tenant of one's own.
    for tenant_id, expected in ((theirs["tenant"], {403, 404}), (mine.id, None)):
        for path, operations in site.app.openapi()["paths"].items():
            if path in OPEN or not path.startswith("/api/v1/"):
                continue
            for method in operations.keys() & {"get", "post", "put", "patch", "delete"}:
                if "/users/" in path or (path, method) in (("/api/v1/tenants", "post"), (DOOR, "post")):
                    continue
                if expected is None and "text/event-stream" in str(operations[method]["responses"]):
                    # One's own never ends; what is theirs is refused like everything else.
                    continue
                others = {"tenant": tenant_id, "node": mine.id, "namespace": "news", "topic": "theirs", "name": "n"}
                address = path.format_map(theirs | others)
                token = {"Authorization": f"Bearer {issued.token}"}
                for headers in (token,) if expected is None else (token, {}):
                    answer = await site.anonymous.request(
                        method,
                        address,
                        params=query | {"tenant": theirs["tenant"]},
                        headers=headers,
                        json=None if method in ("get", "delete") else body,
                    )
                    assert SECRET not in answer.text.replace(address, ""), (method, path, answer.text)
                    is_asked_for = expected is not None or "{tenant}" not in path
                    if is_asked_for:
                        # 401: tokens belong to people, and the nodes to operators.
                        refusals = {401, 403, 404} if headers or "/cluster/" in path else {403, 404}
                        assert answer.status_code in refusals, (method, path, answer.text)
        assert {reached for reached, _ in site.engine.commands} <= {mine.id}
        if tenant_id == theirs["tenant"]:
            assert site.engine.commands == []

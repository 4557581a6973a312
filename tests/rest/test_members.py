"""Members and invites: somebody gets in by a link alone, and who may change whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hatchet_sdk.clients.rest.models.tenant_invite import TenantInvite
from hatchet_sdk.clients.rest.models.tenant_member import TenantMember

from broadaxe.core.audit import Action
from broadaxe.storage import accounts, audit, tokens
from broadaxe.storage.accounts import Role

if TYPE_CHECKING:
    from .conftest import Site

PASSWORD = "Correct-horse-7"
INVITES = "/api/v1/stable/invites"


class Browser:
    """Somebody at a browser of their own."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.cookies: dict[str, str] = {}

    async def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        async with httpx.AsyncClient(base_url=self.site.url, timeout=60) as client:
            answer = await client.request(method, path, json=body, headers=headers if self.cookies else None)
        self.cookies |= dict(answer.cookies)
        return answer


async def member(site: Site, role: Role, email: str) -> Browser:
    browser = Browser(site)
    person = site.owner
    if email != site.owner.email:
        person = await site.seeds.account("", email)
        await accounts.add_member(site.seeds.pool, site.seeds.tenant_id, person.id, role)
    browser.cookies["hatchet"] = await accounts.open_session(site.seeds.pool, person.id)
    return browser


async def owner(site: Site) -> Browser:
    return await member(site, Role.OWNER, site.owner.email)


async def ids(site: Site, browser: Browser) -> dict[str, str]:
    rows = (await browser.ask("GET", f"{site.tenant}/members")).json()["rows"]
    return {row["user"]["email"]: row["metadata"]["id"] for row in rows}


async def invited(site: Site, by: Browser, email: str = "bob@example.com", role: str = "ADMIN") -> tuple[str, str]:
    """The id of a new invite, and the secret in its link."""
    answer = await by.ask("POST", f"{site.tenant}/invites", {"email": email, "role": role})
    assert answer.status_code == 201, answer.text
    assert TenantInvite.from_dict(answer.json()) is not None
    address, _, secret = answer.json()["link"].partition("#")
    assert address == f"{site.url}/invite"
    return answer.json()["metadata"]["id"], secret


async def written(site: Site) -> list[tuple[str, str, str]]:
    """What the audit log has, oldest first: action, who, what."""
    page = await audit.page(site.seeds.pool, site.seeds.tenant_id, audit.AuditFilter(), limit=100)
    return [(entry.row.action, entry.row.by_name, entry.row.object_name) for entry in reversed(page.rows)]


async def test_somebody_gets_in_by_the_link_alone(site: Site) -> None:
    ada, bob = await owner(site), Browser(site)
    _, secret = await invited(site, ada, "Bob@Example.com")
    assert secret not in str(await site.seeds.pool.fetch("select * from broadaxe.invite"))
    seen = (await bob.ask("POST", f"{INVITES}/look", {"secret": secret})).json()
    shown = {key: seen[key] for key in ("email", "role", "tenantName", "invitedBy", "hasAccount")}
    assert shown == {
        "email": "bob@example.com",
        "role": "ADMIN",
        "tenantName": "Default",
        "invitedBy": "ada@example.com",
        "hasAccount": False,
    }
    weak = await bob.ask("POST", f"{INVITES}/join", {"secret": secret, "name": "Bob", "password": "short"})
    assert (weak.status_code, weak.json()["errors"][0]["field"]) == (400, "password")
    joined = await bob.ask("POST", f"{INVITES}/join", {"secret": secret, "name": "Bob", "password": PASSWORD})
    assert joined.status_code == 200, joined.text
    (membership,) = (await bob.ask("GET", "/api/v1/users/memberships")).json()["rows"]
    assert (membership["role"], membership["tenant"]["name"]) == ("ADMIN", "Default")
    for path in ("look", "join"):
        body = {"secret": secret, "name": "Eve", "password": PASSWORD}
        again = await Browser(site).ask("POST", f"{INVITES}/{path}", body)
        assert again.status_code == 400 and "does not count any more" in again.text
    assert await written(site) == [
        (Action.INVITE_CREATE, "ada@example.com", "bob@example.com"),
        (Action.INVITE_ACCEPT, "bob@example.com", "bob@example.com"),
        (Action.ACCOUNT_LOG_IN, "bob@example.com", "bob@example.com"),
    ]


async def test_whoever_has_an_account_logs_in_and_accepts_or_rejects(site: Site) -> None:
    ada, bob = await owner(site), Browser(site)
    person = await site.seeds.account("Bob", "bob@example.com")
    bob.cookies["hatchet"] = await accounts.open_session(site.seeds.pool, person.id)
    invite_id, secret = await invited(site, ada)
    assert (await bob.ask("POST", f"{INVITES}/look", {"secret": secret})).json()["hasAccount"] is True
    refused = await bob.ask("POST", f"{INVITES}/join", {"secret": secret, "password": PASSWORD})
    assert refused.status_code == 400 and "log in" in refused.text
    (row,) = (await bob.ask("GET", "/api/v1/users/invites")).json()["rows"]
    assert (row["metadata"]["id"], row["tenantName"], "link" in row) == (invite_id, "Default", False)
    eve = await member(site, Role.MEMBER, "eve@example.com")
    for path in ("accept", "reject"):
        stolen = await eve.ask("POST", f"/api/v1/users/invites/{path}", {"invite": invite_id})
        assert stolen.status_code == 400
    accepted = await bob.ask("POST", "/api/v1/users/invites/accept", {"invite": invite_id})
    assert (accepted.status_code, accepted.content) == (200, b"")
    assert "bob@example.com" in await ids(site, ada)
    carol = await site.seeds.account("Carol", "carol@example.com")
    other, _ = await invited(site, ada, "carol@example.com")
    browser = Browser(site)
    browser.cookies["hatchet"] = await accounts.open_session(site.seeds.pool, carol.id)
    assert (await browser.ask("POST", "/api/v1/users/invites/reject", {"invite": other})).status_code == 200
    assert "carol@example.com" not in await ids(site, ada)
    assert (await written(site))[-1] == (Action.INVITE_REJECT, "carol@example.com", "carol@example.com")


async def test_an_invite_is_sent_again_changed_revoked_rejected_and_expires(site: Site) -> None:
    ada = await owner(site)
    invite_id, first = await invited(site, ada)
    one = f"{site.tenant}/invites/{invite_id}"
    resend = f"{site.stable}/invites/{invite_id}/resend"
    second = (await ada.ask("POST", resend)).json()["link"].partition("#")[2]
    look = f"{INVITES}/look"
    assert (await ada.ask("POST", look, {"secret": first})).status_code == 400
    changed = await ada.ask("PATCH", one, {"role": "VIEWER"})
    assert (changed.json()["role"], "link" in changed.json()) == ("VIEWER", False)
    assert (await ada.ask("POST", look, {"secret": second})).json()["role"] == "VIEWER"
    # Expired: it does not count, is not listed, and can be sent again or replaced.
    await site.seeds.pool.execute("update broadaxe.invite set expires_at = now() - interval '1 s'")
    assert (await ada.ask("POST", look, {"secret": second})).status_code == 400
    assert (await ada.ask("GET", f"{site.tenant}/invites")).json() == {"rows": []}
    third = (await ada.ask("POST", resend)).json()["link"].partition("#")[2]
    assert (await ada.ask("POST", look, {"secret": third})).status_code == 200
    assert (await ada.ask("DELETE", one)).json()["email"] == "bob@example.com"
    assert (await ada.ask("POST", look, {"secret": third})).status_code == 400
    assert (await ada.ask("DELETE", one)).status_code == 404
    _, fourth = await invited(site, ada)
    assert (await Browser(site).ask("POST", f"{INVITES}/reject", {"secret": fourth})).status_code == 200
    assert (await ada.ask("GET", f"{site.tenant}/invites")).json() == {"rows": []}
    await invited(site, ada)
    await site.seeds.pool.execute("update broadaxe.invite set expires_at = now() - interval '1 s'")
    await invited(site, ada)


async def test_bad_invites_are_refused_and_change_nothing(site: Site) -> None:
    ada, amy = await owner(site), await member(site, Role.ADMIN, "amy@example.com")
    await invited(site, ada)
    for body, status, field in (
        ({"email": "ada@example.com", "role": "VIEWER"}, 400, "email"),
        ({"email": "BOB@example.com", "role": "VIEWER"}, 400, "email"),
        ({"email": "nobody", "role": "VIEWER"}, 400, "email"),
        ({"email": "x@example.com", "role": "KING"}, 400, "role"),
        ({"email": "x@example.com"}, 400, "role"),
        ({"email": "x@example.com", "role": "OWNER"}, 401, None),
    ):
        refused = await amy.ask("POST", f"{site.tenant}/invites", body)
        assert (refused.status_code, refused.json()["errors"][0].get("field")) == (status, field), body
    assert len((await amy.ask("GET", f"{site.tenant}/invites")).json()["rows"]) == 1
    for secret in ("", "x", "x" * 10_000):
        assert (await amy.ask("POST", f"{INVITES}/look", {"secret": secret})).status_code == 400


async def test_an_invite_of_another_tenant_is_out_of_reach(site: Site) -> None:
    ada = await owner(site)
    eve = await site.seeds.account("Eve", "eve@example.com")
    theirs = await accounts.create_tenant(site.seeds.pool, "Eve's", "eve", eve.id)
    browser = Browser(site)
    browser.cookies["hatchet"] = await accounts.open_session(site.seeds.pool, eve.id)
    invite_id, _ = await invited(site, ada)
    member_id = (await ids(site, ada))["ada@example.com"]
    base, stable = f"/api/v1/tenants/{theirs.id}", f"/api/v1/stable/tenants/{theirs.id}"
    for method, path, body in (
        ("PATCH", f"{base}/invites/{invite_id}", {"role": "VIEWER"}),
        ("DELETE", f"{base}/invites/{invite_id}", None),
        ("POST", f"{stable}/invites/{invite_id}/resend", None),
        ("PATCH", f"{base}/members/{member_id}", {"role": "VIEWER"}),
        ("DELETE", f"{base}/members/{member_id}", None),
    ):
        assert (await browser.ask(method, path, body)).status_code == 404, path
    assert len((await ada.ask("GET", f"{site.tenant}/invites")).json()["rows"]) == 1


async def test_roles_are_changed_and_members_removed(site: Site) -> None:
    ada, vic = await owner(site), await member(site, Role.VIEWER, "vic@example.com")
    one = f"{site.tenant}/members/{(await ids(site, ada))['vic@example.com']}"
    cancel = (f"{site.stable}/tasks/cancel", {"externalIds": []})
    assert (await vic.ask("POST", *cancel)).status_code == 401
    changed = await ada.ask("PATCH", one, {"role": "MEMBER"})
    assert TenantMember.from_dict(changed.json()) is not None
    assert changed.json()["role"] == "MEMBER"
    assert (await vic.ask("POST", *cancel)).status_code == 200, "at once"
    assert (await ada.ask("DELETE", one)).status_code == 204
    assert (await vic.ask("GET", site.tenant)).status_code == 403, "at once"
    assert (await ada.ask("DELETE", one)).status_code == 404
    assert await written(site) == [
        (Action.ACCESS_REFUSED, "vic@example.com", "POST /api/v1/stable/tenants/{tenant}/tasks/cancel"),
        (Action.MEMBER_CHANGE, "ada@example.com", "vic@example.com"),
        (Action.MEMBER_REMOVE, "ada@example.com", "vic@example.com"),
    ]


async def test_owners_are_changed_by_owners_and_nobody_changes_themselves(site: Site) -> None:
    ada, amy = await owner(site), await member(site, Role.ADMIN, "amy@example.com")
    by_email = await ids(site, ada)
    mine, hers = (f"{site.tenant}/members/{by_email[f'{name}@example.com']}" for name in ("ada", "amy"))
    for browser, method, path, body in (
        (amy, "PATCH", mine, {"role": "VIEWER"}),
        (amy, "DELETE", mine, None),
        (amy, "PATCH", hers, {"role": "OWNER"}),
        (ada, "PATCH", mine, {"role": "VIEWER"}),
        (ada, "DELETE", mine, None),
    ):
        assert (await browser.ask(method, path, body)).status_code == 401, (method, path)
    # With two owners either may end the other; the one that is left stays.
    assert (await ada.ask("PATCH", hers, {"role": "OWNER"})).status_code == 200
    assert (await amy.ask("DELETE", mine)).status_code == 204
    with pytest.raises(Exception, match="at least one owner"):
        async with site.seeds.pool.acquire() as connection:
            (left,) = (await accounts.members_of_tenant(connection, site.seeds.tenant_id)).rows
            await accounts.remove_member(connection, site.seeds.tenant_id, left.account_id)


async def test_no_token_lets_anybody_in(site: Site) -> None:
    issued = await tokens.create_token(site.seeds.pool, site.seeds.tenant_id, "t", 60, site.url, "127.0.0.1:2")
    body = {"email": "x@example.com", "role": "VIEWER"}
    headers = {"Authorization": f"Bearer {issued.token}"}
    refused = await site.anonymous.post(f"{site.tenant}/invites", json=body, headers=headers)
    assert refused.status_code == 401 and "no token may do this" in refused.text

"""The lists of the settings, of people, tokens and alerts, over 200,000 rows: a page reads little more than it shows.

Lists of runs and what belongs to them are in `test_plans`, the audit log in `test_audit`. The bounds are pages of 8 KiB
that every plan keeps which rides an index; reading one of these tables as a whole takes 1,800 at least.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from .test_plans import explain

ROWS: Final = 200_000
PAGE: Final = 50
#: Of the rows of sessions and memberships, those of one account and of one tenant.
OWN: Final = 1_000
NOW: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)
#: So that what is asked for lies all over the tables. Row 200 * k is of the one that is asked for.
EVERY: Final = ROWS // OWN

# $1 how many, $2 which rows are of the first account and tenant, $3 now.
NUMBERED: Final = """
create temporary table numbered as
select
    n, ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid as id,
    ('00000000-0000-7000-8000-' || lpad((case when n % $2 = 0 then 0 else n end)::text, 12, '0'))::uuid as owner,
    ('00000000-0000-7000-8000-' || lpad((case when n % $2 = 0 then 0 else 1 end)::text, 12, '0'))::uuid as tenant,
    $3::timestamptz - ($1 - n) * interval '1 second' as at
from generate_series(0, $1::integer) n
"""
FILLED: Final = """
insert into broadaxe.tenant (id, name, slug) select id, n::text, n::text from numbered where n < 2;

insert into broadaxe.account (id, email, name, password_hash) select id, n || '@example.com', n, '' from numbered;

insert into broadaxe.membership (id, tenant_id, account_id, role, created_at)
select id, tenant, id, 'MEMBER', at from numbered;

insert into broadaxe.session (token_hash, account_id, id, device, created_at, last_used_at, expires_at)
select sha256(id::text::bytea), owner, id, 'a browser', at, at, now() + interval '1 day' from numbered;

-- The others are all of one tenant.
insert into broadaxe.api_token (id, tenant_id, name, token_hash, expires_at, role)
select id, (select id from numbered where n = 0), 'token-' || n, sha256(id::text::bytea), at, 'ADMIN' from numbered;

insert into broadaxe.alert (
    tenant_id, id, rule_id, rule_name, kind, subject, status, opened_at, last_at, resolved_at, count
)
select (select id from numbered where n = 0), id, id, 'rule', 'RUN_FAILED', 'it', 'RESOLVED', at, at, at, 1
from numbered;

insert into broadaxe.alert_delivery (
    tenant_id, id, alert_id, channel_id, occasion, message, status, next_at, created_at, ended_at
)
select (select id from numbered where n = 0), id, id, id, 'FIRED', '{}', 'DELIVERED', at, at, at
from numbered;

-- One that has neither tokens nor alerts of its own watches both.
insert into broadaxe.alert_rule (
    tenant_id, id, name, kind, workflow, threshold, window_us, quiet_us, channel_ids, is_enabled, template, created_at,
    updated_at
)
select (select id from numbered where n = 1), n.id, kind, kind, '', 1, 86400000000, 3600000000, '{}', true, '', at, at
from (values (1, 'TOKEN_EXPIRING'), (2, 'NODE_LOST')) as k (n, kind)
join numbered as n on n.n = k.n;
"""
TABLES: Final = ("alert_rule", "account", "membership", "session", "api_token", "alert", "alert_delivery")


def _id(number: int) -> str:
    return str(UUID(f"00000000-0000-7000-8000-{number:012}"))


def _at(number: int) -> datetime:
    return NOW - timedelta(seconds=ROWS - number)


async def test_a_page_of_the_settings_reads_little_more_than_it_shows(database: str) -> None:
    connection = await asyncpg.connect(database)
    # Nobody listens, and no key has to be looked up.
    await connection.execute("set session_replication_role = replica")
    await connection.execute(NUMBERED, ROWS, EVERY, NOW)
    await connection.execute(FILLED)
    for table in TABLES:
        await connection.execute(f"vacuum analyze broadaxe.{table}")
    all_tokens = await connection.fetchval("select pg_relation_size('broadaxe.api_token') / 8192")
    await connection.close()
    first, middle = _id(0), ROWS // 2
    # An account has few sessions and a tenant few members, of which every page looks at all.
    all_own = OWN + 100
    with_people = all_own + 5 * PAGE
    for name, query, arguments, rows, blocks_max in (
        ("sessions", "accounts/session_list", (first, None, PAGE, None, None), PAGE, all_own),
        ("sessions, deep", "accounts/session_list", (first, None, PAGE, _at(middle), _id(middle)), PAGE, all_own),
        ("sessions of few", "accounts/session_list", (_id(7), None, PAGE, None, None), 1, 10),
        ("members", "accounts/members_of_tenant", (first, PAGE, None, None), PAGE, with_people),
        (
            "members, deep",
            "accounts/members_of_tenant",
            (first, PAGE, _at(middle), _id(middle)),
            PAGE,
            all_own + 5 * PAGE,
        ),
        ("memberships", "accounts/memberships_of_account", (_id(7), PAGE), 1, 20),
        ("tokens", "tokens/list", (first, PAGE, None, None), PAGE, 20),
        ("tokens, deep", "tokens/list", (first, PAGE, _id(middle), None), PAGE, 20),
        ("tokens by name", "tokens/list", (first, PAGE, None, "TOKEN-1"), PAGE, 20),
        ("alerts", "alerts/list", (first, None, None, PAGE, None), PAGE, 20),
        ("alerts, deep", "alerts/list", (first, None, None, PAGE, _id(middle)), PAGE, 20),
        ("messages", "alerts/deliveries", (first, None, None, PAGE, None), PAGE, 20),
        ("messages, deep", "alerts/deliveries", (first, None, None, PAGE, _id(middle)), PAGE, 20),
        # Tokens are few where people use it, so reading all of them once is as good as looking for each tenant's.
        ("what rules of tokens and nodes find", "alerts/facts", (100,), 0, all_tokens + 40),
        ("messages of an alert", "alerts/deliveries", (first, _id(middle), None, PAGE, None), 1, 20),
    ):
        plan = await explain(database, query, arguments)
        assert plan.rows == rows, (name, plan)
        assert plan.blocks <= blocks_max, (name, plan)

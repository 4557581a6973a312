"""`broadaxe audit`: the log is listed, exported and verified, and a log that was changed ends the command with 1."""

from __future__ import annotations

import json

import asyncpg

from broadaxe.core.audit import Action, Subject
from broadaxe.storage import accounts, audit
from tests.platform.test_tenant import broadaxe


async def test_the_log_is_listed_exported_and_verified(database: str, pool: asyncpg.Pool) -> None:
    tenant = await accounts.insert_tenant(pool, "Billing", "billing")
    of = ("--tenant", "billing")
    assert broadaxe(database, "tenant", "limits", "billing", "EVENT=7").returncode == 0
    async with pool.acquire() as connection, connection.transaction():
        subject = Subject("id", "nightly", None)
        await audit.write(
            connection, tenant.id, audit.command_line("root"), Action.CRON_DELETE, subject, before={"a": 1}
        )
    listed = broadaxe(database, "audit", "list", *of)
    assert listed.returncode == 0, listed.stderr
    newest, oldest = listed.stdout.splitlines()
    assert "cron.delete" in newest
    assert "nightly  by root" in newest
    assert "limits.change" in oldest
    as_json = json.loads(broadaxe(database, "audit", "list", *of, "--json", "--action", "limits.change").stdout)
    assert [(row["initiator"]["kind"], row["after"]) for row in as_json] == [("CLI", {"EVENT": 7})]
    exported = broadaxe(database, "audit", "export", *of).stdout.splitlines()
    assert [json.loads(line)["action"] for line in exported] == ["cron.delete", "limits.change"]

    verified = broadaxe(database, "audit", "verify", "--json")
    assert verified.returncode == 0, verified.stderr
    (head,) = json.loads(verified.stdout)
    assert (head["tenantId"], head["chain"], head["seq"]) == (tenant.id, "EDGE", 2)
    await pool.execute("update broadaxe.audit_entry set by_name = 'nobody' where seq = 1")
    broken = broadaxe(database, "audit", "verify", "--expect", head["hash"])
    assert broken.returncode == 1
    assert f"{tenant.id} EDGE 1: the entry" in broken.stderr
    assert f"no entry has the hash {head['hash']}" in broken.stderr


async def test_what_the_user_has_to_correct_ends_with_2(database: str, pool: asyncpg.Pool) -> None:
    await accounts.insert_tenant(pool, "Billing", "billing")
    for arguments, message in (
        (("list", "--tenant", "billing", "--action", "cron.destroy"), "--action 'cron.destroy': there are"),
        (("list", "--tenant", "billing", "--since", "yesterday"), "--since 'yesterday': write an instant like"),
        (("export", "--tenant", "nobody"), "there is no tenant 'nobody'"),
        (("verify", "--expect", "abc"), "--expect 'abc': a hash has 64 hexadecimal digits"),
    ):
        done = broadaxe(database, "audit", *arguments)
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert message in done.stderr
        assert "Traceback" not in done.stderr

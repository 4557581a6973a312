"""The schema: enums as the core spells them, migrations once and unedited, partitions by the day of an id."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import asyncpg
import pytest

from broadaxe.core.lifecycle import RunCause, RunStatus, TaskEventType, TaskStatus
from broadaxe.errors import ConfigurationError
from broadaxe.storage.ids import id_floor, new_id
from broadaxe.storage.migrate import _migrations, migrate, schema_of
from broadaxe.storage.partitions import ensure_partitions
from tests.storage.ground import contents

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PARTITIONED = (
    "run",
    "task",
    "task_event",
    "event",
    "log_line",
    "span",
    "durable_task",
    "durable_branch",
    "durable_entry",
    "task_step",
    "run_value",
    "gate",
    "stream_message",
    "stream_payload",
)
PUT_EVENT = (
    "insert into broadaxe.event (tenant_id, id, key, payload, seen_at) "
    "values (gen_random_uuid(), $1, 'k', '{}', now()) "
    "returning (select c.relname::text from pg_class as c where c.oid = event.tableoid)"
)


ENUMS: dict[str, type[StrEnum]] = {
    "run_status": RunStatus,
    "run_cause": RunCause,
    "task_status": TaskStatus,
    "task_event_type": TaskEventType,
}


async def test_enums_are_the_same_on_both_sides(pool: asyncpg.Pool) -> None:
    for name, members in ENUMS.items():
        rows = await pool.fetch(
            "select e.enumlabel from pg_enum e join pg_type t on t.oid = e.enumtypid "
            "join pg_namespace n on n.oid = t.typnamespace where n.nspname = 'broadaxe' and t.typname = $1 "
            "order by e.enumsortorder",
            name,
        )
        assert [row["enumlabel"] for row in rows] == [member.value for member in members], name


def test_no_two_migrations_have_the_same_number() -> None:
    numbers = [migration.name.partition("_")[0] for migration in _migrations()]
    assert numbers == sorted(set(numbers))


async def test_migrating_again_changes_nothing(database: str, pool: asyncpg.Pool) -> None:
    before = await contents(pool)
    assert (await schema_of(database)).lacks == []
    assert await migrate(database) == []
    assert await contents(pool) == before


async def test_two_that_migrate_at_once_apply_each_migration_once(database: str, pool: asyncpg.Pool) -> None:
    await pool.execute("drop schema broadaxe cascade")
    waiting = (await schema_of(database)).lacks
    applied = await asyncio.gather(migrate(database), migrate(database), migrate(database))
    assert sorted(name for names in applied for name in names) == waiting
    assert (await schema_of(database)).lacks == []


async def test_an_edited_migration_is_refused(database: str, pool: asyncpg.Pool) -> None:
    await pool.execute("update broadaxe.migration set checksum = 'another'")
    with pytest.raises(ConfigurationError, match="0001_initial") as refused:
        await migrate(database)
    assert refused.value.field == "database_url"
    await pool.execute("delete from broadaxe.migration")
    assert "0001_initial" in (await schema_of(database)).lacks


async def test_a_refused_migration_lets_the_next_one_in(database: str, pool: asyncpg.Pool) -> None:
    await pool.execute("update broadaxe.migration set checksum = 'another'")
    for _ in range(2):
        with pytest.raises(ConfigurationError):
            await asyncio.wait_for(migrate(database), 20)


async def test_there_are_partitions_from_yesterday_to_the_day_after_tomorrow(pool: asyncpg.Pool) -> None:
    rows = await pool.fetch(
        "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid "
        "join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'broadaxe' and c.relkind = 'r'"
    )
    found = {row["relname"] for row in rows}
    today = datetime.now(UTC).date()
    for parent in PARTITIONED:
        assert f"{parent}_default" in found
        for offset in (0, 1, 2):
            assert f"{parent}_{today + timedelta(days=offset):%Y%m%d}" in found


async def test_a_row_lands_in_the_partition_of_its_id(pool: asyncpg.Pool) -> None:
    assert await pool.fetchval(PUT_EVENT, new_id()) == f"event_{datetime.now(UTC):%Y%m%d}"
    midnight = datetime(2031, 5, 6, tzinfo=UTC)
    assert await ensure_partitions(pool, midnight) == 4 * len(PARTITIONED)
    assert await ensure_partitions(pool, midnight) == 0
    assert await pool.fetchval(PUT_EVENT, id_floor(midnight)) == "event_20310506"
    before = id_floor(midnight - timedelta(milliseconds=1))[:23] + "-ffffffffffff"
    assert await pool.fetchval(PUT_EVENT, before) == "event_20310505"
    assert await pool.fetchval(PUT_EVENT, id_floor(datetime(2040, 1, 1, tzinfo=UTC))) == "event_default"


async def test_rows_that_fell_into_the_default_partition_stop_nothing(pool: asyncpg.Pool) -> None:
    day = datetime(2031, 5, 6, 12, tzinfo=UTC)
    await pool.execute(PUT_EVENT, id_floor(day))
    assert await ensure_partitions(pool, day) == 4 * len(PARTITIONED) - 1
    assert await pool.fetchval(PUT_EVENT, id_floor(day + timedelta(days=1))) == "event_20310507"
    assert await pool.fetchval(PUT_EVENT, id_floor(day + timedelta(hours=1))) == "event_default"


async def test_the_floor_of_an_instant_is_the_same_on_both_sides(pool: asyncpg.Pool) -> None:
    for at in [
        datetime(2026, 11, 22, 13, 0, 0, 0, UTC),
        datetime(2026, 11, 22, 13, 0, 0, 499, UTC),
        datetime(2026, 11, 22, 13, 0, 0, 500, UTC),
        datetime(2026, 11, 22, 13, 0, 0, 999_999, UTC),
        datetime(2038, 1, 19, 3, 14, 8, 123_456, UTC),
        EPOCH,
        EPOCH - timedelta(days=1),
        datetime(9999, 1, 1, 0, 0, 0, 999_999, UTC),
    ]:
        assert str(await pool.fetchval("select broadaxe.id_floor($1)", at)) == id_floor(at), at


async def test_instants_lose_nothing_on_their_way(pool: asyncpg.Pool) -> None:
    for us in (0, 1, -1, 1_767_268_800_123_456, 253_402_300_799_999_999):
        assert await pool.fetchval("select broadaxe.to_us(broadaxe.from_us($1))", us) == us


async def test_instants_are_the_same_in_every_time_zone(pool: asyncpg.Pool) -> None:
    for zone in ("UTC", "Pacific/Auckland", "America/St_Johns"):
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(f"set local time zone '{zone}'")
            # One hour either side of a change of clocks in each zone.
            for us in (1_774_746_000_123_456, 1_793_494_800_123_456, 1_772_951_400_123_456, -1):
                at = EPOCH + timedelta(microseconds=us)
                assert await connection.fetchval("select broadaxe.from_us($1)", us) == at
                assert await connection.fetchval("select broadaxe.to_us($1)", at) == us


async def test_instants_cost_no_call(pool: asyncpg.Pool) -> None:
    # A function that PostgreSQL cannot put in the place of its call costs each value over a microsecond.
    plan = await pool.fetch(
        "explain (verbose, costs off)"
        " select broadaxe.from_us((r ->> 0)::bigint), broadaxe.to_us(at)"
        " from (values ('[1]'::jsonb, now()), ('[2]'::jsonb, now())) as v (r, at)"
    )
    assert "_us(" not in "\n".join(row[0] for row in plan)


async def test_a_row_cannot_be_what_it_may_never_be(pool: asyncpg.Pool) -> None:
    put = (
        "insert into broadaxe.run (tenant_id, id, workflow_id, workflow_version_id, is_dag, display_name, status, "
        "priority, input, created_at, finished_at) values (gen_random_uuid(), $1, gen_random_uuid(), "
        "gen_random_uuid(), false, 'd', $2::text::broadaxe.run_status, $3, '{}', now(), $4)"
    )
    await pool.execute(put, new_id(), "RUNNING", 1, None)
    for status, priority, finished in [
        ("RUNNING", 1, datetime.now(UTC)),
        ("COMPLETED", 1, None),
        ("QUEUED", 0, None),
        ("QUEUED", 4, None),
    ]:
        with pytest.raises(asyncpg.CheckViolationError):
            await pool.execute(put, new_id(), status, priority, finished)

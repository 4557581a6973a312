-- Upserts crons; ticks are kept by tick_crons, and one whose name or expression has changed was deleted just before.
-- Called by storage/journal.py; rides cron_pkey.
insert into broadaxe.cron (
    tenant_id, id, workflow_id, expression, name, is_declared, input, additional_metadata, priority, is_enabled,
    last_tick_at, created_at, updated_at
)
select
    $1, n.id, n.workflow_id, n.expression, n.name, n.is_declared, n.input, n.additional_metadata::jsonb, n.priority,
    n.is_enabled, broadaxe.from_us(n.last_tick_at), broadaxe.from_us(n.created_at), broadaxe.from_us(n.updated_at)
from unnest(
    $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::boolean[], $7::text[], $8::text[], $9::smallint[],
    $10::boolean[], $11::bigint[], $12::bigint[], $13::bigint[]
) as n (
    id, workflow_id, expression, name, is_declared, input, additional_metadata, priority, is_enabled, last_tick_at,
    created_at, updated_at
)
on conflict (tenant_id, id) do update
set input = excluded.input,
    additional_metadata = excluded.additional_metadata,
    priority = excluded.priority,
    is_enabled = excluded.is_enabled,
    last_tick_at = excluded.last_tick_at,
    updated_at = excluded.updated_at

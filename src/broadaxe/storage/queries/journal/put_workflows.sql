-- Upserts workflows. Called by storage/journal.py; rides workflow_pkey.
insert into broadaxe.workflow (
    tenant_id, id, name, description, created_at, updated_at, deleted_at, paused_at, paused_queue_ttl_us, paused_crons,
    paused_schedules, unpaused_at, paused_by
)
select
    $1, n.id, n.name, n.description, broadaxe.from_us(n.created_at), broadaxe.from_us(n.updated_at),
    broadaxe.from_us(n.deleted_at), broadaxe.from_us(n.paused_at), n.paused_queue_ttl_us, n.paused_crons,
    n.paused_schedules, broadaxe.from_us(n.unpaused_at), n.paused_by
from unnest(
    $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
    $10::text[], $11::text[], $12::bigint[], $13::text[]
) as n (
    id, name, description, created_at, updated_at, deleted_at, paused_at, paused_queue_ttl_us, paused_crons,
    paused_schedules, unpaused_at, paused_by
)
on conflict (tenant_id, id) do update
set description = excluded.description,
    updated_at = excluded.updated_at,
    deleted_at = excluded.deleted_at,
    paused_at = excluded.paused_at,
    paused_queue_ttl_us = excluded.paused_queue_ttl_us,
    paused_crons = excluded.paused_crons,
    paused_schedules = excluded.paused_schedules,
    unpaused_at = excluded.unpaused_at,
    paused_by = excluded.paused_by

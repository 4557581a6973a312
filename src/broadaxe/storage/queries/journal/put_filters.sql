-- Upserts event filters; what is fixed when one is made stays. Called by storage/journal.py; rides event_filter_pkey.
insert into broadaxe.event_filter (
    tenant_id, id, workflow_id, scope, expression, payload, is_declared, created_at, updated_at
)
select
    $1, n.id, n.workflow_id, n.scope, n.expression, n.payload, n.is_declared, broadaxe.from_us(n.created_at),
    broadaxe.from_us(n.updated_at)
from unnest(
    $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::boolean[], $8::bigint[], $9::bigint[]
) as n (id, workflow_id, scope, expression, payload, is_declared, created_at, updated_at)
on conflict (tenant_id, id) do update
set scope = excluded.scope,
    expression = excluded.expression,
    payload = excluded.payload,
    updated_at = excluded.updated_at

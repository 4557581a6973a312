-- Upserts workflows. Called by storage/journal.py; rides workflow_pkey.
insert into broadaxe.workflow (tenant_id, id, name, description, created_at, updated_at, deleted_at)
select
    $1, n.id, n.name, n.description, broadaxe.from_us(n.created_at), broadaxe.from_us(n.updated_at),
    broadaxe.from_us(n.deleted_at)
from unnest($2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[])
    as n (id, name, description, created_at, updated_at, deleted_at)
on conflict (tenant_id, id) do update
set description = excluded.description,
    updated_at = excluded.updated_at,
    deleted_at = excluded.deleted_at

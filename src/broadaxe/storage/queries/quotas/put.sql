-- Upserts limits of a tenant. Called by storage/quotas.py; rides quota_pkey.
insert into broadaxe.quota (tenant_id, resource, limit_value)
select $1, n.resource, n.limit_value
from unnest($2::text[], $3::bigint[]) as n (resource, limit_value)
on conflict (tenant_id, resource) do update
set limit_value = excluded.limit_value,
    updated_at = now()

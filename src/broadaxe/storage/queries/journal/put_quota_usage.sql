-- What a tenant has used of its limits, in the transaction that makes what is counted: at most one row per resource.
-- Called by storage/journal.py; rides quota_usage_pkey.
insert into broadaxe.quota_usage (tenant_id, resource, value, since)
select $1, n.resource, n.value, broadaxe.from_us(n.since)
from unnest($2::text[], $3::bigint[], $4::bigint[]) as n (resource, value, since)
on conflict (tenant_id, resource) do update
set value = excluded.value,
    since = excluded.since

-- A tenant that is about to be deleted. Its lease is locked before it, as whoever commits for it locks them. Called by
-- storage/tenant_deletion.py; rides lease_pkey and tenant_pkey. $1 tenant.
with held as materialized (
    select l.tenant_id from broadaxe.lease as l where l.tenant_id = $1 for update
)
select t.name, t.slug
from broadaxe.tenant as t
left join held as h on h.tenant_id = t.id
where t.id = $1
for update of t

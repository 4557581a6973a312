-- Tenants something waits for in the outbox, each found by a step along the index, however many rows it has. Called by
-- storage/outbox.py when the listener (re)connects; rides outbox_pkey.
with recursive waiting (tenant_id) as (
    (select o.tenant_id from broadaxe.outbox as o order by o.tenant_id limit 1)
    union all
    select (select o.tenant_id from broadaxe.outbox as o where o.tenant_id > w.tenant_id order by o.tenant_id limit 1)
    from waiting as w
    where w.tenant_id is not null
)
select w.tenant_id::text as tenant_id
from waiting as w
join broadaxe.tenant as t on t.id = w.tenant_id

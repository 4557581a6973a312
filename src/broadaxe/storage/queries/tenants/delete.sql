-- Deletes a tenant with what hangs on its row, people's ways in and its lease among it, and remembers that the rest is to
-- be swept. Called by storage/tenant_deletion.py; rides tenant_pkey. $1 tenant.
with gone as (
    delete from broadaxe.tenant where id = $1 returning id
)
insert into broadaxe.deleted_tenant (id) select id from gone

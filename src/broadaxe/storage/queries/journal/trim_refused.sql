-- Keeps the newest $2 refused requests of a tenant. Called by storage/journal.py whenever it adds some; rides
-- outbox_refused_pkey.
delete from broadaxe.outbox_refused
where tenant_id = $1 and id <= (
    select id from broadaxe.outbox_refused where tenant_id = $1 order by id desc offset $2 limit 1
)

-- Keeps the newest $2 messages of a tenant that were given or given up, and the newest $2 alerts that are over. Called by
-- storage/journal.py whenever it adds messages; rides alert_delivery_pkey and alert_pkey.
with messages as (
    delete from broadaxe.alert_delivery
    where tenant_id = $1 and status <> 'WAITING' and id <= (
        select id from broadaxe.alert_delivery where tenant_id = $1 order by id desc offset $2 limit 1
    )
)
delete from broadaxe.alert
where tenant_id = $1 and status = 'RESOLVED' and id <= (
    select id from broadaxe.alert where tenant_id = $1 order by id desc offset $2 limit 1
)

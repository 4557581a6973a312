-- Keeps the newest $2 failures of a tenant. Called by storage/journal.py whenever it adds some; rides
-- expression_failure_pkey.
delete from broadaxe.expression_failure
where tenant_id = $1 and id <= (
    select id from broadaxe.expression_failure where tenant_id = $1 order by id desc offset $2 limit 1
)

-- One webhook by its name. Called by Webhooks.get, so once per incoming request. Rides the unique index on the name.
-- $1 tenant, $2 name.
select * from broadaxe.webhook where tenant_id = $1 and name = $2

-- Forgets a webhook and its failures. Called by Webhooks.delete. Rides the unique index on the name.
-- $1 tenant, $2 name.
delete from broadaxe.webhook where tenant_id = $1 and name = $2 returning *

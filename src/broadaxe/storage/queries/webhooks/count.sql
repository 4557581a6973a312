-- How many webhooks a tenant has. Called by Webhooks.count; rides the unique index on the name.
select count(*) from broadaxe.webhook where tenant_id = $1

-- What a tenant has used of its limits. Called by storage/loader.py at activation, when limits are enforced; rides
-- quota_usage_pkey.
select resource, value, broadaxe.to_us(since) as since_us
from broadaxe.quota_usage
where tenant_id = $1
order by resource

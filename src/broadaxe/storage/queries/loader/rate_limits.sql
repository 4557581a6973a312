-- Every rate limit of a tenant. Called by storage/loader.py at activation; rides rate_limit_pkey.
select
    key, limit_value, value, window_us, broadaxe.to_us(last_refill_at) as last_refill_us,
    broadaxe.to_us(paused_until) as paused_until_us, is_dynamic
from broadaxe.rate_limit
where tenant_id = $1
order by key

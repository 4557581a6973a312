-- The limits people set for a tenant; null for no limit. Called by storage/quotas.py; rides quota_pkey.
select resource, limit_value
from broadaxe.quota
where tenant_id = $1

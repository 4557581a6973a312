-- What a tenant used in its latest windows, for people. Called by storage/quotas.py; rides quota_usage_pkey.
select resource, value, since
from broadaxe.quota_usage
where tenant_id = $1

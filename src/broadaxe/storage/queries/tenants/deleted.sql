-- Deleted tenants that may still have rows, and whether that was long enough ago for nobody to write any more. Called by
-- storage/tenant_deletion.py; reads the few rows there are. $1 seconds.
select d.id, d.deleted_at < clock_timestamp() - $1 * interval '1 second' as is_settled
from broadaxe.deleted_tenant as d
order by d.deleted_at
limit 100

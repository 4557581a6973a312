-- Who holds a tenant, for messages and forwarding. Called by cluster/leases.py; rides lease_pkey.
select node_id, address, expires_at, greatest(0, extract(epoch from expires_at - clock_timestamp()))::float8 as left_s
from broadaxe.lease
where tenant_id = $1

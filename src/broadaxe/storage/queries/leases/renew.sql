-- Extends leases still held at these epochs; returns the tenants that are. Called by cluster/leases.py for all tenants
-- of a node at once; rides lease_pkey.
update broadaxe.lease as held
set expires_at = clock_timestamp() + $4 * interval '1 second'
from unnest($1::uuid[], $2::bigint[]) as mine (tenant_id, epoch)
where held.tenant_id = mine.tenant_id and held.node_id = $3 and held.epoch = mine.epoch
returning held.tenant_id

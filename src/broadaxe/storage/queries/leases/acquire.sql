-- Takes the tenant for a node if nobody holds it, its lease ran out, its node is gone, or the node held it before. A new
-- epoch shuts out every writer of an older one. Called by cluster/leases.py; rides lease_pkey and node_pkey.
-- $4 is how many seconds the lease lasts, null for one that lasts as long as its node.
insert into broadaxe.lease as held (tenant_id, node_id, address, epoch, expires_at, enforces_limits, schema_known)
values ($1, $2, $3, 1, coalesce(clock_timestamp() + $4 * interval '1 second', 'infinity'), $5, $6)
on conflict (tenant_id) do update
    set node_id = excluded.node_id,
        address = excluded.address,
        epoch = held.epoch + 1,
        expires_at = excluded.expires_at,
        enforces_limits = excluded.enforces_limits,
        schema_known = excluded.schema_known,
        successor = null
    where held.expires_at < clock_timestamp() or held.node_id = excluded.node_id
        or (held.expires_at = 'infinity' and broadaxe.is_gone(held.node_id))
returning epoch

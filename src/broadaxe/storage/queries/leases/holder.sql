-- Who holds a tenant, for messages and to reach it there; whether the lease can be taken all the same, since it was given back,
-- has run out, or its node is gone; and whom it was given back for. Called by cluster/leases.py; rides lease_pkey and node_pkey.
select
    l.node_id, l.address, n.link_address, l.successor,
    l.expires_at < clock_timestamp() or (l.expires_at = 'infinity' and broadaxe.is_gone(l.node_id)) as is_free,
    l.expires_at = 'infinity' as had_to_the_end,
    greatest(0, extract(epoch from coalesce(n.expires_at, l.expires_at) - clock_timestamp()))::float8 as left_s
from broadaxe.lease as l
left join broadaxe.node as n on n.id = l.node_id
where l.tenant_id = $1

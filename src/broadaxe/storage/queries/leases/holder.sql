-- Who holds a tenant, for messages and to reach it there. Called by cluster/leases.py; rides lease_pkey and node_pkey.
select
    l.node_id, l.address, n.link_address,
    greatest(0, extract(epoch from coalesce(n.expires_at, l.expires_at) - clock_timestamp()))::float8 as left_s
from broadaxe.lease as l
left join broadaxe.node as n on n.id = l.node_id
where l.tenant_id = $1

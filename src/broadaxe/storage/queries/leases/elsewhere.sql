-- Where another node than $2 is reached while it holds the tenant $1. Called by engine/edge_store.py; rides lease_pkey and
-- node_pkey.
select n.link_address
from broadaxe.lease as l
join broadaxe.node as n on n.id = l.node_id
where l.tenant_id = $1 and l.node_id <> $2 and l.expires_at = 'infinity' and not broadaxe.is_gone(l.node_id)

-- The nodes for people, with how many leases each holds, the oldest first; $1 is how many at most. Called by
-- storage/nodes.py; reads the node table and the leases once, which are as many as there are nodes and tenants.
with owned as (
    select l.node_id, count(*) as tenants
    from broadaxe.lease as l
    where l.expires_at = 'infinity'
    group by l.node_id
)
select
    n.id, n.address, n.link_address, n.version, n.started_at, n.draining_at, n.load,
    coalesce(o.tenants, 0)::integer as tenants, broadaxe.is_gone(n.id) as is_lost,
    extract(epoch from clock_timestamp() - n.renewed_at)::float8 as renewed_ago_s
from broadaxe.node as n
left join owned as o on o.node_id = n.id
order by n.started_at, n.id
limit $1

-- Of these leases of a node, those that it still holds at these epochs. Called by cluster/leases.py; rides lease_pkey.
select l.tenant_id
from broadaxe.lease as l
join unnest($1::uuid[], $2::bigint[]) as mine (tenant_id, epoch) on mine.tenant_id = l.tenant_id and mine.epoch = l.epoch
where l.node_id = $3

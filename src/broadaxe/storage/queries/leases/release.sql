-- Gives a lease back at a planned stop, so that the next owner need not wait. $4 is who that should be; null for anybody.
-- Called by cluster/leases.py.
update broadaxe.lease
set expires_at = 'epoch', successor = $4
where tenant_id = $1 and node_id = $2 and epoch = $3

-- Gives a lease back at a planned stop, so that the next owner need not wait. Called by cluster/leases.py.
update broadaxe.lease
set expires_at = 'epoch'
where tenant_id = $1 and node_id = $2 and epoch = $3

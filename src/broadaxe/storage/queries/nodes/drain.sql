-- Tells a node to hand its tenants over and to take none; $2 takes that back. Called by storage/nodes.py; rides node_pkey.
update broadaxe.node
set draining_at = case when $2 then null else coalesce(draining_at, clock_timestamp()) end
where id = $1

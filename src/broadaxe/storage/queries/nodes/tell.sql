-- Tells all nodes that one has come, steps down, or is to. Called by cluster/members.py and storage/nodes.py.
select pg_notify('broadaxe_nodes', $1)

-- A node stops, or one that is long gone is forgotten. Called by cluster/members.py.
delete from broadaxe.node where id = $1 or expires_at < clock_timestamp() - interval '1 day'

-- The same, of a tenant that is about to be changed. Called by storage/topics.py.
select name, stream_retention_hours from broadaxe.tenant where id = $1 for update

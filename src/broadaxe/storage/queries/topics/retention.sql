-- For how many hours a tenant keeps messages of topics. Called by storage/topics.py.
select stream_retention_hours from broadaxe.tenant where id = $1

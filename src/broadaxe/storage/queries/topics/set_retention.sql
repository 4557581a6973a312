-- Keeps messages of topics for so many hours, the ones that are there included. Called by storage/topics.py.
update broadaxe.tenant set stream_retention_hours = $2, updated_at = clock_timestamp() where id = $1

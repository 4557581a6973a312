-- What has been applied. Before phases were recorded every migration was one that older code could live with. Called by
-- storage/migrate.py.
select name, checksum, applied_at, coalesce(to_jsonb(m) ->> 'phase', 'pre') as phase
from broadaxe.migration as m
order by name

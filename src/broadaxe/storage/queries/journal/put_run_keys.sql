-- Writes down the keys of runs whose group a worker was asked for. Called by storage/journal.py; rides run_pkey
-- within the partitions from $4 on.
update broadaxe.run as r
set keys = n.keys::jsonb
from unnest($2::uuid[], $3::text[]) as n (id, keys)
where r.tenant_id = $1 and r.id = n.id and r.id >= $4::uuid

-- Adds workflow versions. Called by storage/journal.py.
insert into broadaxe.workflow_version (tenant_id, id, workflow_id, ordinal, label, checksum, definition, created_at)
select $1, n.id, n.workflow_id, n.ordinal, n.label, n.checksum, n.definition::jsonb, broadaxe.from_us(n.created_at)
from unnest($2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::bigint[])
    as n (id, workflow_id, ordinal, label, checksum, definition, created_at)

-- The versions that runs $2 were created with. Called by storage/loader.py for a replay; rides the primary keys.
select distinct
    v.id::text, v.workflow_id::text, v.ordinal, v.label, v.checksum, v.definition::text,
    broadaxe.to_us(v.created_at) as created_at_us
from broadaxe.run as r
join broadaxe.workflow_version as v on v.tenant_id = r.tenant_id and v.id = r.workflow_version_id
where r.tenant_id = $1 and r.id = any($2::uuid[])

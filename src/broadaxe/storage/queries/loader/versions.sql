-- The newest version of each workflow, and every version a live run (from the id $2 on) was created with. Called by storage/loader.py;
-- rides run_live and the unique (tenant_id, workflow_id, ordinal).
with used as (
    select distinct workflow_version_id as id from broadaxe.run where tenant_id = $1 and finished_at is null and id >= $2::uuid
),
newest as (
    select distinct on (workflow_id) id
    from broadaxe.workflow_version
    where tenant_id = $1
    order by workflow_id, ordinal desc
)
select
    v.id::text, v.workflow_id::text, v.ordinal, v.label, v.checksum, v.definition::text,
    broadaxe.to_us(v.created_at) as created_at_us
from broadaxe.workflow_version as v
where v.tenant_id = $1 and v.id in (select id from used union select id from newest)
order by v.workflow_id, v.ordinal

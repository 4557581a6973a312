-- The newest version of each workflow, and every version a live run (from the id $2 on) was created with. Called by
-- storage/loader.py; rides run_live and the unique (tenant_id, workflow_id, ordinal).
with used as (
    select distinct workflow_version_id as id
    from broadaxe.run
    where tenant_id = $1 and finished_at is null and id >= $2::uuid
),
newest as (
    select v.id
    from broadaxe.workflow as w
    cross join lateral (
        select n.id from broadaxe.workflow_version as n
        where n.tenant_id = w.tenant_id and n.workflow_id = w.id
        order by n.ordinal desc
        limit 1
    ) as v
    where w.tenant_id = $1
)
select
    v.id::text, v.workflow_id::text, v.ordinal, v.label, v.checksum, v.definition::text,
    broadaxe.to_us(v.created_at) as created_at_us
from broadaxe.workflow_version as v
where v.tenant_id = $1 and v.id in (select id from used union select id from newest)
order by v.workflow_id, v.ordinal

-- Schedules by their ids, with the version they would run now. Called by CalendarReads.schedules; rides schedule_pkey.
select
    s.tenant_id, s.id, s.workflow_id, w.name as workflow_name, version.id as version_id, s.trigger_at, s.input,
    s.additional_metadata::text, coalesce(s.priority, (version.definition ->> 'default_priority')::integer) as priority,
    s.created_at, s.updated_at
from broadaxe.schedule as s
join broadaxe.workflow as w on w.tenant_id = s.tenant_id and w.id = s.workflow_id
cross join lateral (
    select v.id, v.definition
    from broadaxe.workflow_version as v
    where v.tenant_id = s.tenant_id and v.workflow_id = s.workflow_id
    order by v.ordinal desc
    limit 1
) as version
where s.tenant_id = $1 and s.id = any($2::uuid[])

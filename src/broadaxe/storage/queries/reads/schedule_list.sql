-- A page of schedules with the version they would run now. Called by CalendarReads.schedules_page, which puts the rows
-- in order again. Only the branch of the wanted order is carried out: the others are ruled out when the statement is
-- planned for its values. Rides schedule_by_time, or schedule_pkey, whose ids are in the order of creation; with
-- filters schedule_by_workflow, schedule_by_parent, schedule_by_parent_run or schedule_by_metadata. $1 tenant, $2
-- workflow, $3 parent run, $4 parent task, $5 metadata prefilter, $6/$7 metadata keys and values that must all match,
-- $8 field and direction of the order, $9 limit, $10 offset, $11/$12 the schedule behind which to begin (id, and
-- instant in the orders by it). Null means no filter.
with wanted as not materialized (
    select s.*
    from broadaxe.schedule as s
    where
        \ir parts/schedule_filter.sql
),
page as (
    (
        select * from wanted
        where $8 = 'triggerAt DESC' and ($11::uuid is null or (trigger_at, id) < ($12::timestamptz, $11))
        order by trigger_at desc, id desc
        limit $9 offset $10
    )
    union all
    (
        select * from wanted
        where $8 = 'triggerAt ASC' and ($11 is null or (trigger_at, id) > ($12, $11))
        order by trigger_at, id
        limit $9 offset $10
    )
    union all
    (
        select * from wanted
        where $8 = 'createdAt DESC' and ($11 is null or id < $11)
        order by id desc
        limit $9 offset $10
    )
    union all
    (
        select * from wanted
        where $8 = 'createdAt ASC' and ($11 is null or id > $11)
        order by id
        limit $9 offset $10
    )
)
select
    page.tenant_id, page.id, page.workflow_id, w.name as workflow_name, version.id as version_id, page.trigger_at,
    page.input, page.additional_metadata::text,
    coalesce(page.priority, (version.definition ->> 'default_priority')::integer) as priority, page.created_at,
    page.updated_at
from page
join broadaxe.workflow as w on w.tenant_id = page.tenant_id and w.id = page.workflow_id
cross join lateral (
    select v.id, v.definition
    from broadaxe.workflow_version as v
    where v.tenant_id = page.tenant_id and v.workflow_id = page.workflow_id
    order by v.ordinal desc
    limit 1
) as version

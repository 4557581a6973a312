-- One page of the events that started certain runs, newest first. Called by EventReads.events_page.
-- Rides run_of_workflow_by_event, or run_of_status_by_event when no workflow is named: every place in it (a workflow and a
-- status) gives the events of its runs in order, `offset 0` keeping it so, and few more are looked at than shown, however
-- rare they are among all events. Then the event primary key.
-- $1 to $11 are those of event_list, $12 workflows, $13 statuses, one of which may be null, $14 limit, $15 offset.
with place as (
    select workflow_id, status
    from unnest(coalesce($12::uuid[], array[null::uuid])) as workflow_id
    cross join unnest(coalesce($13::broadaxe.run_status[], enum_range(null::broadaxe.run_status))) as status
),
found as (
    select distinct of_place.id
    from place
    cross join lateral (
        (
            select distinct e.id
            from (
                select r.triggering_event_id
                from broadaxe.run r
                where place.workflow_id is not null and r.workflow_id = place.workflow_id and (
                    \ir parts/run_of_place.sql
                )
                order by r.triggering_event_id desc
                offset 0
            ) as r
            join broadaxe.event e on e.tenant_id = $1 and e.id = r.triggering_event_id
            where
                \ir parts/event_filter.sql
            order by e.id desc
            limit $14::bigint + $15::bigint
        )
        union all
        (
            select distinct e.id
            from (
                select r.triggering_event_id
                from broadaxe.run r
                where place.workflow_id is null and (
                    \ir parts/run_of_place.sql
                )
                order by r.triggering_event_id desc
                offset 0
            ) as r
            join broadaxe.event e on e.tenant_id = $1 and e.id = r.triggering_event_id
            where
                \ir parts/event_filter.sql
            order by e.id desc
            limit $14::bigint + $15::bigint
        )
    ) as of_place
    order by of_place.id desc
    limit $14 offset $15
)
select e.id, e.key, e.payload, e.additional_metadata, e.scope, e.triggering_webhook_name, e.seen_at
from found
join broadaxe.event e on e.tenant_id = $1 and e.id = found.id
order by e.id desc

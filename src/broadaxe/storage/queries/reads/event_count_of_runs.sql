-- How many events started certain runs, counting no further than $8. Called by EventReads.count_events when nothing but
-- their time is asked of the events themselves: they are then looked at only where an id does not tell the time exactly.
-- Rides run_of_workflow_by_event, or run_of_status_by_event when no workflow is named.
-- $1 tenant, $2/$3 id range, $4/$5 time range, $6 workflows, $7 statuses, one of which may be null.
with place as (
    select workflow_id, status
    from unnest(coalesce($6::uuid[], array[null::uuid])) as workflow_id
    cross join unnest(coalesce($7::broadaxe.run_status[], enum_range(null::broadaxe.run_status))) as status
),
surely as materialized (
    select
        broadaxe.id_floor($4::timestamptz + interval '1 minute') as from_id,
        broadaxe.id_floor($5::timestamptz - interval '1 minute') as until_id
)
select count(*)
from (
    select distinct of_place.id
    from place
    cross join lateral (
        (
            select distinct r.triggering_event_id as id
            from broadaxe.run r
            where place.workflow_id is not null and r.workflow_id = place.workflow_id and (
                \ir parts/run_of_place.sql
            )
                and (
                    \ir parts/run_event_in_time.sql
                )
            order by r.triggering_event_id
            limit $8
        )
        union all
        (
            select distinct r.triggering_event_id as id
            from broadaxe.run r
            where place.workflow_id is null and (
                \ir parts/run_of_place.sql
            )
                and (
                    \ir parts/run_event_in_time.sql
                )
            order by r.triggering_event_id
            limit $8
        )
    ) as of_place
    limit $8
) as counted

-- How many events that pass a filter started certain runs, counting no further than $14. Called by EventReads.count_events.
-- If no more than 1,000 runs are meant, which run_of_workflow_by_event (or run_of_status_by_event when no workflow is
-- named) tells before more is read, their events are looked up by primary key, however many pass the filter. Else rides
-- one of those two or an index of events, whichever promises fewer: what is promised for both together is a guess.
-- $1 to $11 are those of event_list, $12 workflows, $13 statuses, one of which may be null.
with place as (
    select workflow_id, status
    from unnest(coalesce($12::uuid[], array[null::uuid])) as workflow_id
    cross join unnest(coalesce($13::broadaxe.run_status[], enum_range(null::broadaxe.run_status))) as status
),
of_runs as materialized (
    select of_place.id
    from place
    cross join lateral (
        (
            select r.triggering_event_id as id
            from broadaxe.run r
            where place.workflow_id is not null and r.workflow_id = place.workflow_id and (
                \ir parts/run_of_place.sql
            )
            order by r.triggering_event_id
            limit 1001
        )
        union all
        (
            select r.triggering_event_id as id
            from broadaxe.run r
            where place.workflow_id is null and (
                \ir parts/run_of_place.sql
            )
            order by r.triggering_event_id
            limit 1001
        )
    ) as of_place
    limit 1001
)
select case
    when (select count(*) from of_runs) <= 1000 then (
        select count(*)
        from (
            select 1
            from (select distinct id from of_runs) as few
            cross join lateral (
                select 1
                from broadaxe.event e
                where e.tenant_id = $1 and e.id = few.id
                    and (
                        \ir parts/event_filter.sql
                    )
                offset 0
            ) as passed
            limit $14
        ) as counted
    )
    else (
        select count(*)
        from (
            select 1
            from broadaxe.event e
            where e.tenant_id = $1
                and e.id >= $2 and e.id < $3
                and (
                    \ir parts/event_filter.sql
                )
                and exists (
                    select 1
                    from broadaxe.run r
                    where r.tenant_id = e.tenant_id and r.triggering_event_id = e.id
                        and r.triggering_event_id >= $2 and r.triggering_event_id < $3 and r.id >= $2
                        and ($12::uuid[] is null or r.workflow_id = any($12))
                        and ($13::broadaxe.run_status[] is null or r.status = any($13))
                )
            limit $14
        ) as counted
    )
end

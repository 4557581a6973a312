-- How many runs of a time range stand in each status, and how many of them have nothing live that is not evicted. Called
-- by Reads.run_status_counts when nothing is asked but the time and the workflow: most runs are then counted in an index
-- and never read. Completed ones are what remains of all when live and unhappy ones are taken away.
-- Rides the primary key or run_by_workflow, run_live and run_unhappy.
-- $1 tenant, $2/$3 id range, $4/$5 creation time range, $6/$7 the ids whose time is surely in the range (only the others
-- are read to compare it), $8 workflows; null means all.
with every as (
    select
        (
            select count(*)
            from broadaxe.run r
            where r.tenant_id = $1 and r.id >= $6 and r.id < $7
                and ($8::uuid[] is null or r.workflow_id = any($8))
        ) + (
            select count(*)
            from broadaxe.run r
            where r.tenant_id = $1 and (r.id >= $2 and r.id < $6 or r.id >= $7 and r.id < $3)
                and r.created_at >= $4 and r.created_at <= $5
                and ($8 is null or r.workflow_id = any($8))
        ) as runs
),
unhappy as (
    select r.status, count(*) as runs
    from broadaxe.run r
    where r.tenant_id = $1 and r.status in ('FAILED', 'CANCELLED') and r.id >= $6 and r.id < $7
        and ($8 is null or r.workflow_id = any($8))
    group by r.status
    union all
    select r.status, count(*) as runs
    from broadaxe.run r
    where r.tenant_id = $1 and r.status in ('FAILED', 'CANCELLED')
        and (r.id >= $2 and r.id < $6 or r.id >= $7 and r.id < $3)
        and r.created_at >= $4 and r.created_at <= $5
        and ($8 is null or r.workflow_id = any($8))
    group by r.status
),
live as (
    select
        r.status, count(*) as runs,
        count(*) filter (where r.status = 'RUNNING' and (
            \ir parts/run_is_evicted.sql
        )) as evicted
    from broadaxe.run r
    where r.tenant_id = $1 and r.finished_at is null
        and r.id >= $2 and r.id < $3
        and r.created_at >= $4 and r.created_at <= $5
        and ($8 is null or r.workflow_id = any($8))
    group by r.status
)
select live.status, live.runs, live.evicted from live
union all
select unhappy.status, sum(unhappy.runs)::bigint, 0 from unhappy group by unhappy.status
union all
select
    'COMPLETED'::broadaxe.run_status,
    every.runs
        - coalesce((select sum(live.runs)::bigint from live), 0)
        - coalesce((select sum(unhappy.runs)::bigint from unhappy), 0),
    0
from every

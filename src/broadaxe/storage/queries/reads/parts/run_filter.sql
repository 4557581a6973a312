-- Which runs `r` are asked for: $1 tenant, $2/$3 id range, $4/$5 creation time range, $6 statuses, $7 whether all of them
-- are live, $8 workflows, $9 parent task, $10 to $18 as in run_traits, $19 which RUNNING runs: those whose live tasks are
-- all evicted, or the others, $20 worker that took one of its tasks, as far as these are among the newest 10,000 that it
-- took of the creation time range, and of a page those behind its place: a list is read to its end by its pages. Tasks are
-- made with their runs, give or take an hour. Null means no filter.
r.tenant_id = $1
and r.id >= $2 and r.id < $3
and r.created_at >= $4 and r.created_at <= $5
and ($6::broadaxe.run_status[] is null or r.status = any($6))
and ($7::boolean is not true or r.finished_at is null)
and ($8::uuid[] is null or r.workflow_id = any($8))
and ($9::uuid is null or r.parent_task_id = $9)
and (
    \ir run_traits.sql
)
and ($19::boolean is null or r.status <> 'RUNNING' or $19 = (
    \ir run_is_evicted.sql
))
and ($20::uuid is null or r.id = any(array(
    select taken.run_id
    from broadaxe.task taken
    where taken.tenant_id = $1 and taken.worker_id = $20 and taken.run_id < $3
        and taken.id >= $2 and taken.id < broadaxe.id_floor(least($5, now()) + interval '1 hour')
    order by taken.id desc
    limit 10000
)))

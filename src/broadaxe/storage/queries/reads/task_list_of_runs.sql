-- One page of tasks whose runs are as asked for, newest first. Called by Reads.tasks_page. Two arms, because a task that
-- is alone in its run has the run's id, and each for two kinds of questions. What names an event, keys, a parent or ids
-- has few runs, which an index finds (run_by_event, run_by_idempotency_key, run_by_parent, the primary key): always from
-- them to their tasks (the primary key, task_by_run), however many the planner expects. Else it chooses: from the tasks
-- to their runs, or from the runs that run_by_metadata and run_by_cause find.
-- Key tasks are shown as in task_list.
-- $1 to $9 are those of task_list, $10 triggering event, $11 metadata prefilter, $12/$13 metadata keys and values,
-- $14 whether all keys must match, $15 idempotency keys, $16 parent run or task, $17 causes, $18 ids of runs, $19 whether
-- payloads are wanted, $20 limit, $21 offset, $22 the id that those of their runs are smaller than. Null means no filter.
with wanted_task as not materialized (
    select t.*
    from broadaxe.task t
    where
        \ir parts/task_filter.sql
),
wanted_run as not materialized (
    select r.id
    from broadaxe.run r
    where r.tenant_id = $1
        and r.id < $22
        and (
            \ir parts/run_traits.sql
        )
),
few_runs as materialized (
    select r.id
    from wanted_run r
    where num_nonnulls($10::uuid, $15::text[], $16::uuid, $18::uuid[]) > 0
),
found as (
    (
        select t.*
        from (select id from few_runs where id >= $2 and id < $3 order by id desc) r
        -- The limit keeps this a look-up for each run, of no more runs than the page needs.
        cross join lateral (select * from wanted_task where id = r.id limit 1) t
        order by r.id desc
        limit $20::bigint + $21::bigint
    )
    union all
    (
        select t.*
        from few_runs r
        cross join lateral (select * from wanted_task where run_id = r.id and id <> run_id offset 0) t
        order by t.id desc
        limit $20::bigint + $21::bigint
    )
    union all
    (
        select t.*
        from wanted_task t
        join wanted_run r on r.id = t.id
        where num_nonnulls($10::uuid, $15::text[], $16::uuid, $18::uuid[]) = 0 and r.id >= $2 and r.id < $3
        order by t.id desc
        limit $20::bigint + $21::bigint
    )
    union all
    (
        select t.*
        from wanted_task t
        join wanted_run r on r.id = t.run_id
        where num_nonnulls($10::uuid, $15::text[], $16::uuid, $18::uuid[]) = 0 and t.id <> t.run_id
        order by t.id desc
        limit $20::bigint + $21::bigint
    )
),
page as (
    select * from found order by id desc limit $20 offset $21
)
select
    page.id, page.run_id, page.definition_id, page.name, page.action_id, page.display_name, page.status,
    page.retry_count, page.worker_id, case when $19::boolean then page.output end as output, page.error,
    page.created_at, page.queued_at, page.finished_at,
    case when page.status = 'RUNNING' then started.at else page.started_at end as started_at,
    (
        select count(*)
        from broadaxe.run child
        where child.tenant_id = page.tenant_id and child.parent_task_id = page.id
            and child.id >= broadaxe.id_floor(page.created_at - interval '1 minute')
    ) as spawned_children
from page
left join lateral (
    select e.at
    from broadaxe.task_event e
    where page.status = 'RUNNING' and e.tenant_id = page.tenant_id and e.task_id = page.id
        and e.type = 'STARTED' and e.retry_count = page.retry_count
    order by e.seq desc
    limit 1
) as started on true
order by page.id desc

-- One page of tasks whose runs are as asked for, newest first. Called by Reads.tasks_page. Two arms, because a task that
-- is alone in its run has the run's id: either arm goes from the tasks to their runs, or from the runs that an index
-- finds (run_by_event, run_by_metadata, run_by_idempotency_key) to their tasks (the primary key, task_by_run).
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
found as (
    (
        select t.*
        from wanted_task t
        join wanted_run r on r.id = t.id
        where r.id >= $2 and r.id < $3
        order by t.id desc
        limit $20::bigint + $21::bigint
    )
    union all
    (
        select t.*
        from wanted_task t
        join wanted_run r on r.id = t.run_id
        where t.id <> t.run_id
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

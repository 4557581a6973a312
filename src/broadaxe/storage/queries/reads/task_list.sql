-- One page of tasks, newest first. Called by Reads.tasks_page (the list with only_tasks=true) when nothing is asked of
-- their runs. Rides the task primary key backwards within the partitions of the id range; with a worker task_by_worker,
-- with live statuses task_live, with failures task_unhappy.
-- A key task is shown only when it is why its run went wrong; it is nothing that anybody declared.
-- $1 tenant, $2/$3 id range (a page behind a place ends it there), $4/$5 creation time range, $6 statuses, $7 whether all
-- of them are live, $8 workflows, $9 worker, $10 whether payloads are wanted, $11 limit, $12 offset. Null means no filter.
with page as (
    select t.*
    from broadaxe.task t
    where
        \ir parts/task_filter.sql
    order by t.id desc
    limit $11 offset $12
)
select
    page.id, page.run_id, page.definition_id, page.name, page.action_id, page.display_name, page.status,
    page.retry_count, page.worker_id, case when $10::boolean then page.output end as output, page.error,
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

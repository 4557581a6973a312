-- How many tasks of each definition wait for a worker or run, those of paused workflows left out.
-- Called by CountReads.live_task_counts. Rides task_live; costs one pass over the live tasks. $1 tenant, $2 limit.
-- `held` counts the concurrency rules a task holds a slot of; `some_run` leads to the version of the definition.
select
    t.definition_id, t.name, t.action_id, t.status = 'RUNNING' as is_running, t.concurrency_held as held,
    count(*) as tasks,
    min(case when t.status = 'RUNNING' then t.assigned_at else t.queued_at end) as oldest_at,
    min(case when t.status = 'RUNNING' then t.assigned_at else t.queued_at end)
        filter (where t.retry_count = 0) as oldest_first_attempt_at,
    min(t.run_id::text)::uuid as some_run
from broadaxe.task t
where t.tenant_id = $1 and t.finished_at is null and t.status in ('QUEUED', 'RUNNING')
    and not exists (
        select 1
        from broadaxe.workflow w
        where w.tenant_id = t.tenant_id and w.id = t.workflow_id and w.paused_at is not null and t.status = 'QUEUED'
    )
group by t.definition_id, t.name, t.action_id, is_running, held
order by tasks desc
limit $2

-- All tasks of the runs $2, with outputs for the definitions $3, which conditions look at, $4 being the
-- smallest id that a task of theirs can have. Called by storage/loader.py for commands that name them, and beside a
-- backlog; rides task_pkey and task_by_run.
select
    t.id::text, t.run_id::text, t.workflow_id::text, t.definition_id::text, t.name, t.action_id, t.display_name,
    broadaxe.to_us(t.created_at) as created_at_us, t.status::text, t.retry_count, t.app_retry_count,
    t.internal_retry_count, t.queue_priority, t.worker_id::text, t.slot_released,
    coalesce(h.event_count, t.event_count) as event_count, broadaxe.to_us(t.queued_at) as queued_at_us,
    broadaxe.to_us(t.assigned_at) as assigned_at_us,
    broadaxe.to_us(coalesce(t.started_at, h.started_at)) as started_at_us,
    broadaxe.to_us(t.finished_at) as finished_at_us, broadaxe.to_us(t.due_at) as due_at_us, case when t.definition_id = any($3::uuid[]) then t.output end as output, t.error, t.concurrency_held,
    t.batch_id::text
from (
    select s.* from broadaxe.task as s where s.tenant_id = $1 and s.id = any($2::uuid[]) and s.id = s.run_id
    union all
    select m.* from broadaxe.task as m where m.tenant_id = $1 and m.run_id = any($2::uuid[]) and m.id <> m.run_id and m.id >= $4::uuid
) as t
left join lateral (
    select
        max(e.seq) as event_count,
        -- A durable task may have been assigned several times within one attempt.
        case
            when max(e.seq) filter (where e.type = 'STARTED') > max(e.seq) filter (where e.type = 'ASSIGNED')
                then max(e.at) filter (where e.type = 'STARTED' and e.retry_count = t.retry_count)
        end as started_at
    from broadaxe.task_event as e
    where e.tenant_id = t.tenant_id and e.task_id = t.id and e.task_id >= $4::uuid
) as h on t.status = 'RUNNING'
order by t.run_id, t.id

-- Entries of the logs of tasks $2, without their results, each with whether its child run has ended. Called by
-- storage/loader.py; rides durable_entry_pkey and run_pkey.
select
    e.task_id::text, e.branch_id, e.node_id, e.kind::text, e.identity, e.label,
    broadaxe.to_us(e.created_at) as created_at_us, e.child_run_id::text, e.child_key, e.workflow_name, e.wait,
    broadaxe.to_us(e.due_at) as due_at_us, e.event_keys, e.is_awaited, e.is_on_path,
    broadaxe.to_us(e.satisfied_at) as satisfied_at_us, e.place, null::text as result,
    e.child_run_id is not null and e.satisfied_at is null and exists (
        select 1
        from broadaxe.run as r
        where r.tenant_id = e.tenant_id and r.id = e.child_run_id and r.finished_at is not null
    ) as is_child_over
from broadaxe.durable_entry as e
where e.tenant_id = $1 and e.task_id = any($2::uuid[])
order by e.task_id, e.branch_id, e.node_id

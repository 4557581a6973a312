-- Gives a durable task that nobody has taken yet the log of a recorded one, as if it were queued again: the next
-- invocation does it anew. For a database that belongs to tests; an engine reads it when it loads the tenant. Returns
-- the task, or nothing when somebody has taken it. Called by testing.server. $1 tenant, $2 task, then one array per
-- column.
with queued_again as (
    update broadaxe.task
    set queue_priority = 4, assigned_at = created_at
    where tenant_id = $1 and id = $2 and status = 'QUEUED' and assigned_at is null
    returning id
),
log as (
    insert into broadaxe.durable_task (tenant_id, task_id, branch_id, branch_count, invocation_count)
    select $1, id, 1, 1, 1 from queued_again
),
entries as (
    insert into broadaxe.durable_entry (
        tenant_id, task_id, branch_id, node_id, kind, identity, label, created_at, child_run_id, child_key,
        workflow_name, is_awaited, is_on_path, satisfied_at, place, result, is_failure, error
    )
    select
        $1, t.id, 1, n.node_id, n.kind::broadaxe.durable_entry_kind, n.identity, n.label, now(), n.child_run_id,
        n.child_key, n.workflow_name, n.is_awaited, true, case when n.is_satisfied then now() end, n.place, n.result,
        n.is_failure, n.error
    from queued_again as t
    cross join unnest(
        $3::integer[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::text[], $9::text[], $10::boolean[],
        $11::boolean[], $12::bigint[], $13::text[], $14::boolean[], $15::text[]
    ) as n (
        node_id, kind, identity, label, child_run_id, child_key, workflow_name, is_awaited, is_satisfied, place, result,
        is_failure, error
    )
)
select id from queued_again

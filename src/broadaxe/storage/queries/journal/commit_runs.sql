-- Writes the runs, tasks and history of one batch in one statement, if and only if the lease still stands: every part
-- reads `fence`, so a node that lost the tenant writes nothing and sees 0. Called by storage/journal.py for every
-- batch. Updates ride the primary keys; ids prune partitions at run time.
with fence as materialized (
    select 1 from broadaxe.lease where tenant_id = $1 and node_id = $2 and epoch = $3 for share
),
inserted_runs as (
    insert into broadaxe.run (
        tenant_id, id, workflow_id, workflow_version_id, is_dag, display_name, priority, additional_metadata,
        parent_run_id, parent_task_id, child_index, child_key, desired_worker_id, triggering_event_id,
        triggering_event_key, created_at, status, started_at, finished_at, input
    )
    select
        $1, n.id, n.workflow_id, n.version_id, n.is_dag, n.display_name, n.priority, n.additional_metadata::jsonb,
        n.parent_run_id, n.parent_task_id, n.child_index, n.child_key, n.desired_worker_id, n.triggering_event_id,
        n.triggering_event_key, broadaxe.from_us(n.created_at), n.status::broadaxe.run_status,
        broadaxe.from_us(n.started_at), broadaxe.from_us(n.finished_at), n.input
    from fence, unnest(
        $4::uuid[], $5::uuid[], $6::uuid[], $7::boolean[], $8::text[], $9::smallint[], $10::text[],
        $11::uuid[], $12::uuid[], $13::integer[], $14::text[], $15::uuid[], $16::uuid[],
        $17::text[], $18::bigint[], $19::text[], $20::bigint[], $21::bigint[], $22::text[]
    ) as n (
        id, workflow_id, version_id, is_dag, display_name, priority, additional_metadata,
        parent_run_id, parent_task_id, child_index, child_key, desired_worker_id, triggering_event_id,
        triggering_event_key, created_at, status, started_at, finished_at, input
    )
),
updated_runs as (
    update broadaxe.run as r
    set status = n.status::broadaxe.run_status,
        started_at = broadaxe.from_us(n.started_at),
        finished_at = broadaxe.from_us(n.finished_at)
    from fence, unnest($23::uuid[], $24::text[], $25::bigint[], $26::bigint[]) as n (id, status, started_at, finished_at)
    where r.tenant_id = $1 and r.id = n.id
    returning 1
),
inserted_tasks as (
    insert into broadaxe.task (
        tenant_id, id, run_id, workflow_id, definition_id, name, action_id, display_name, created_at,
        status, retry_count, app_retry_count, internal_retry_count, queue_priority, worker_id, slot_released,
        event_count, queued_at, assigned_at, started_at, finished_at, due_at, output, error
    )
    select
        $1, n.id, n.run_id, n.workflow_id, n.definition_id, n.name, n.action_id, n.display_name,
        broadaxe.from_us(n.created_at),
        n.status::broadaxe.task_status, n.retry_count, n.app_retry_count, n.internal_retry_count, n.queue_priority,
        n.worker_id, n.slot_released, n.event_count, broadaxe.from_us(n.queued_at), broadaxe.from_us(n.assigned_at),
        broadaxe.from_us(n.started_at), broadaxe.from_us(n.finished_at), broadaxe.from_us(n.due_at), n.output, n.error
    from fence, unnest(
        $27::uuid[], $28::uuid[], $29::uuid[], $30::uuid[], $31::text[], $32::text[], $33::text[], $34::bigint[],
        $35::text[], $36::integer[], $37::integer[], $38::integer[], $39::smallint[], $40::uuid[], $41::boolean[],
        $42::integer[], $43::bigint[], $44::bigint[], $45::bigint[], $46::bigint[], $47::bigint[], $48::text[],
        $49::text[]
    ) as n (
        id, run_id, workflow_id, definition_id, name, action_id, display_name, created_at,
        status, retry_count, app_retry_count, internal_retry_count, queue_priority, worker_id, slot_released,
        event_count, queued_at, assigned_at, started_at, finished_at, due_at, output, error
    )
),
updated_tasks as (
    update broadaxe.task as t
    set status = n.status::broadaxe.task_status,
        retry_count = n.retry_count,
        app_retry_count = n.app_retry_count,
        internal_retry_count = n.internal_retry_count,
        queue_priority = n.queue_priority,
        worker_id = n.worker_id,
        slot_released = n.slot_released,
        event_count = n.event_count,
        queued_at = broadaxe.from_us(n.queued_at),
        assigned_at = broadaxe.from_us(n.assigned_at),
        started_at = broadaxe.from_us(n.started_at),
        finished_at = broadaxe.from_us(n.finished_at),
        due_at = broadaxe.from_us(n.due_at),
        output = n.output,
        error = n.error
    from fence, unnest(
        $50::uuid[], $51::text[], $52::integer[], $53::integer[], $54::integer[], $55::smallint[], $56::uuid[],
        $57::boolean[], $58::integer[], $59::bigint[], $60::bigint[], $61::bigint[], $62::bigint[], $63::bigint[],
        $64::text[], $65::text[]
    ) as n (
        id, status, retry_count, app_retry_count, internal_retry_count, queue_priority, worker_id,
        slot_released, event_count, queued_at, assigned_at, started_at, finished_at, due_at, output, error
    )
    where t.tenant_id = $1 and t.id = n.id
    returning 1
),
inserted_task_events as (
    insert into broadaxe.task_event (tenant_id, task_id, seq, type, at, retry_count, worker_id, message, error)
    select
        $1, n.task_id, n.seq, n.type::broadaxe.task_event_type, broadaxe.from_us(n.at), n.retry_count, n.worker_id,
        n.message, n.error
    from fence, unnest(
        $66::uuid[], $67::integer[], $68::text[], $69::bigint[], $70::integer[], $71::uuid[], $72::text[], $73::text[]
    ) as n (task_id, seq, type, at, retry_count, worker_id, message, error)
)
select
    (select count(*) from fence)::integer as fences,
    (select count(*) from updated_runs)::integer as runs,
    (select count(*) from updated_tasks)::integer as tasks

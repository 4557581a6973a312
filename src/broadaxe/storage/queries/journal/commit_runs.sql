-- Writes the runs, tasks and history of one batch in one statement, if and only if the lease still stands: every part
-- reads `fence`, so a node that lost the tenant writes nothing and sees 0. The lock is taken inside a function, never in
-- this plan (0025_fence.sql says why). Called by storage/journal.py for every batch.
-- Rows that are there are changed by way of an insert that meets them: an insert goes straight to the partition of its
-- id, while an update locks and prepares every partition there is before it looks at one. What such an insert gives
-- beside the state only fills columns that must not be null, and is never stored: a row that turns out to be missing
-- (its version is nil) makes `broadaxe.refuse_missing` undo the whole statement. Rides run_pkey and task_pkey.
with fence as materialized (
    select 1 where broadaxe.hold_lease($1, $2, $3)
),
inserted_runs as (
    insert into broadaxe.run (
        tenant_id, id, workflow_id, workflow_version_id, is_dag, display_name, priority, additional_metadata,
        parent_run_id, parent_task_id, child_index, child_key, desired_worker_id, triggering_event_id,
        triggering_event_key, created_at, desired_labels, keys, idempotency_key, filter_id, filter_payload,
        cause, status, started_at, finished_at, concurrency_held, input
    )
    select
        $1, n.id, n.workflow_id, n.version_id, n.is_dag, n.display_name, n.priority, n.additional_metadata::jsonb,
        n.parent_run_id, n.parent_task_id, n.child_index, n.child_key, n.desired_worker_id, n.triggering_event_id,
        n.triggering_event_key, broadaxe.from_us(n.created_at), n.desired_labels::jsonb, n.keys::jsonb,
        n.idempotency_key, n.filter_id, n.filter_payload, n.cause::broadaxe.run_cause,
        n.status::broadaxe.run_status, broadaxe.from_us(n.started_at), broadaxe.from_us(n.finished_at),
        n.concurrency_held, n.input
    from fence, unnest(
        $4::uuid[], $5::uuid[], $6::uuid[], $7::boolean[], $8::text[], $9::smallint[], $10::text[],
        $11::uuid[], $12::uuid[], $13::integer[], $14::text[], $15::uuid[], $16::uuid[],
        $17::text[], $18::bigint[], $19::text[], $20::text[], $21::text[], $22::uuid[], $23::text[],
        $24::text[], $25::text[], $26::bigint[], $27::bigint[], $28::smallint[], $29::text[]
    ) as n (
        id, workflow_id, version_id, is_dag, display_name, priority, additional_metadata,
        parent_run_id, parent_task_id, child_index, child_key, desired_worker_id, triggering_event_id,
        triggering_event_key, created_at, desired_labels, keys, idempotency_key, filter_id, filter_payload,
        cause, status, started_at, finished_at, concurrency_held, input
    )
),
updated_runs as (
    insert into broadaxe.run as r (
        tenant_id, id, status, started_at, finished_at, concurrency_held,
        workflow_id, workflow_version_id, is_dag, display_name, priority, input, created_at
    )
    select
        $1, n.id, n.status::broadaxe.run_status, broadaxe.from_us(n.started_at), broadaxe.from_us(n.finished_at),
        n.concurrency_held, $1, '00000000-0000-0000-0000-000000000000'::uuid, false, '', 1, '', timestamptz 'epoch'
    from fence, unnest($30::uuid[], $31::text[], $32::bigint[], $33::bigint[], $34::smallint[])
        as n (id, status, started_at, finished_at, concurrency_held)
    on conflict (tenant_id, id) do update
    set status = excluded.status,
        started_at = excluded.started_at,
        finished_at = excluded.finished_at,
        concurrency_held = excluded.concurrency_held
    returning r.workflow_version_id <> '00000000-0000-0000-0000-000000000000'::uuid as was_there
),
inserted_tasks as (
    insert into broadaxe.task (
        tenant_id, id, run_id, workflow_id, definition_id, name, action_id, display_name, created_at,
        status, retry_count, app_retry_count, internal_retry_count, queue_priority, worker_id, slot_released,
        event_count, queued_at, assigned_at, started_at, finished_at, due_at, output, error,
        concurrency_held, batch_id
    )
    select
        $1, n.id, n.run_id, n.workflow_id, n.definition_id, n.name, n.action_id, n.display_name,
        broadaxe.from_us(n.created_at),
        n.status::broadaxe.task_status, n.retry_count, n.app_retry_count, n.internal_retry_count, n.queue_priority,
        n.worker_id, n.slot_released, n.event_count, broadaxe.from_us(n.queued_at), broadaxe.from_us(n.assigned_at),
        broadaxe.from_us(n.started_at), broadaxe.from_us(n.finished_at), broadaxe.from_us(n.due_at), n.output, n.error,
        n.concurrency_held, n.batch_id
    from fence, unnest(
        $35::uuid[], $36::uuid[], $37::uuid[], $38::uuid[], $39::text[], $40::text[], $41::text[], $42::bigint[],
        $43::text[], $44::integer[], $45::integer[], $46::integer[], $47::smallint[], $48::uuid[], $49::boolean[],
        $50::integer[], $51::bigint[], $52::bigint[], $53::bigint[], $54::bigint[], $55::bigint[], $56::text[],
        $57::text[], $58::smallint[], $59::uuid[]
    ) as n (
        id, run_id, workflow_id, definition_id, name, action_id, display_name, created_at,
        status, retry_count, app_retry_count, internal_retry_count, queue_priority, worker_id, slot_released,
        event_count, queued_at, assigned_at, started_at, finished_at, due_at, output, error,
        concurrency_held, batch_id
    )
),
updated_tasks as (
    insert into broadaxe.task as t (
        tenant_id, id, status, retry_count, app_retry_count, internal_retry_count, queue_priority, worker_id,
        slot_released, event_count, queued_at, assigned_at, started_at, finished_at, due_at, output, error,
        concurrency_held, batch_id,
        run_id, workflow_id, definition_id, name, action_id, display_name, created_at
    )
    select
        $1, n.id, n.status::broadaxe.task_status, n.retry_count, n.app_retry_count, n.internal_retry_count,
        n.queue_priority, n.worker_id, n.slot_released, n.event_count, broadaxe.from_us(n.queued_at),
        broadaxe.from_us(n.assigned_at), broadaxe.from_us(n.started_at), broadaxe.from_us(n.finished_at),
        broadaxe.from_us(n.due_at), n.output, n.error, n.concurrency_held, n.batch_id,
        n.id, $1, '00000000-0000-0000-0000-000000000000'::uuid, '', '', '', timestamptz 'epoch'
    from fence, unnest(
            $60::uuid[], $61::text[], $62::integer[], $63::integer[], $64::integer[], $65::smallint[], $66::uuid[],
            $67::boolean[], $68::integer[], $69::bigint[], $70::bigint[], $71::bigint[], $72::bigint[], $73::bigint[],
            $74::text[], $75::text[], $76::smallint[], $77::uuid[]
        ) as n (
            id, status, retry_count, app_retry_count, internal_retry_count, queue_priority, worker_id,
            slot_released, event_count, queued_at, assigned_at, started_at, finished_at, due_at, output, error,
            concurrency_held, batch_id
        )
    on conflict (tenant_id, id) do update
    set status = excluded.status,
        retry_count = excluded.retry_count,
        app_retry_count = excluded.app_retry_count,
        internal_retry_count = excluded.internal_retry_count,
        queue_priority = excluded.queue_priority,
        worker_id = excluded.worker_id,
        slot_released = excluded.slot_released,
        event_count = excluded.event_count,
        queued_at = excluded.queued_at,
        assigned_at = excluded.assigned_at,
        started_at = excluded.started_at,
        finished_at = excluded.finished_at,
        due_at = excluded.due_at,
        output = excluded.output,
        error = excluded.error,
        concurrency_held = excluded.concurrency_held,
        batch_id = excluded.batch_id
    returning t.definition_id <> '00000000-0000-0000-0000-000000000000'::uuid as was_there
),
inserted_task_events as (
    insert into broadaxe.task_event (tenant_id, task_id, seq, type, at, retry_count, worker_id, message, error)
    select
        $1, n.task_id, n.seq, n.type::broadaxe.task_event_type, broadaxe.from_us(n.at), n.retry_count, n.worker_id,
        n.message, n.error
    from fence, unnest(
        $78::uuid[], $79::integer[], $80::text[], $81::bigint[], $82::integer[], $83::uuid[], $84::text[], $85::text[]
    ) as n (task_id, seq, type, at, retry_count, worker_id, message, error)
)
select
    (select count(*) from fence)::integer as fences,
    broadaxe.refuse_missing('runs', (select count(*) from updated_runs where not was_there)),
    broadaxe.refuse_missing('tasks', (select count(*) from updated_tasks where not was_there))

-- Writes the runs, tasks and history of one batch in one statement, if and only if the lease still stands: every part
-- reads `fence`, so a node that lost the tenant writes nothing and sees 0. The lock is taken inside a function, never in
-- this plan (0025_fence.sql says why). Called by storage/journal.py for every batch.
-- Rows that are there are changed by way of an insert that meets them: an insert goes straight to the partition of its
-- id, while an update locks and prepares every partition there is before it looks at one. What such an insert gives
-- beside the state only fills columns that must not be null, and is never stored: a row that turns out to be missing
-- (its version is nil) makes `broadaxe.refuse_missing` undo the whole statement. Rides run_pkey and task_pkey.
-- Columns of ids, numbers and truths come as one text each, which the driver sends as it is: of an array it would look at
-- every element anew.
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
        $4::text::uuid[], $5::text::uuid[], $6::text::uuid[], $7::text::boolean[], $8::text[], $9::text::smallint[], $10::text[],
        $11::text::uuid[], $12::text::uuid[], $13::text::integer[], $14::text[], $15::text::uuid[], $16::text::uuid[],
        $17::text[], $18::text::bigint[], $19::text[], $20::text[], $21::text[], $22::text::uuid[], $23::text[],
        $24::text[], $25::text[], $26::text::bigint[], $27::text::bigint[], $28::text::smallint[], $29::text[]
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
    from fence, unnest($30::text::uuid[], $31::text[], $32::text::bigint[], $33::text::bigint[], $34::text::smallint[])
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
        $35::text::uuid[], $36::text::uuid[], $37::text::uuid[], $38::text::uuid[], $39::text[], $40::text[], $41::text[], $42::text::bigint[],
        $43::text[], $44::text::integer[], $45::text::integer[], $46::text::integer[], $47::text::smallint[], $48::text::uuid[], $49::text::boolean[],
        $50::text::integer[], $51::text::bigint[], $52::text::bigint[], $53::text::bigint[], $54::text::bigint[], $55::text::bigint[], $56::text[],
        $57::text[], $58::text::smallint[], $59::text::uuid[]
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
            $60::text::uuid[], $61::text[], $62::text::integer[], $63::text::integer[], $64::text::integer[], $65::text::smallint[], $66::text::uuid[],
            $67::text::boolean[], $68::text::integer[], $69::text::bigint[], $70::text::bigint[], $71::text::bigint[], $72::text::bigint[], $73::text::bigint[],
            $74::text[], $75::text[], $76::text::smallint[], $77::text::uuid[]
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
        $78::text::uuid[], $79::text::integer[], $80::text[], $81::text::bigint[], $82::text::integer[], $83::text::uuid[], $84::text[], $85::text[]
    ) as n (task_id, seq, type, at, retry_count, worker_id, message, error)
)
select
    (select count(*) from fence)::integer as fences,
    broadaxe.refuse_missing('runs', (select count(*) from updated_runs where not was_there)),
    broadaxe.refuse_missing('tasks', (select count(*) from updated_tasks where not was_there))

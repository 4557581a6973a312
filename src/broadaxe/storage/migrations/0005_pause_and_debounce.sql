-- Paused workflows.

-- What people said when they paused it; all null while it is not. A task that waits meanwhile keeps the `due_at` it had:
-- whoever reads it knows from here that its age counts instead, or the time it was unpaused (core/model.py).
alter table broadaxe.workflow
    add column paused_at timestamptz,
    add column paused_queue_ttl_us bigint,
    add column paused_crons text,
    add column paused_schedules text,
    add column unpaused_at timestamptz,
    add constraint workflow_pause_is_whole check (
        (paused_at is null) = (paused_queue_ttl_us is null)
        and (paused_at is null) = (paused_crons is null)
        and (paused_at is null) = (paused_schedules is null)
    ),
    add constraint workflow_pause_is_known check (
        paused_queue_ttl_us > 0 and paused_crons in ('DROP', 'QUEUE') and paused_schedules in ('DROP', 'QUEUE')
    );

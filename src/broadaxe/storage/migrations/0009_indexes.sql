-- Indexes for lists and counts that looked at more rows than they showed.

-- Charts count what finished in a window, whenever it was made.
create index task_by_finish on broadaxe.task (tenant_id, finished_at) include (status) where finished_at is not null;
-- Those who look for failures look among few.
create index task_unhappy on broadaxe.task (tenant_id, status, id) where status in ('FAILED', 'CANCELLED');
create index event_by_metadata on broadaxe.event using gin (additional_metadata jsonb_path_ops)
    where additional_metadata is not null;
-- The members of a tenant; the unique index leads with the account.
create index membership_by_tenant on broadaxe.membership (tenant_id);

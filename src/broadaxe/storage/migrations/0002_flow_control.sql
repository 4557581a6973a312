-- Concurrency, rate limits and worker labels.

-- What the run's expressions said when it was created (core/keys.py), and the labels given with its trigger.
alter table broadaxe.run add column keys jsonb;
alter table broadaxe.run add column desired_labels jsonb;
-- How many of its concurrency rules the run, or the task, holds a slot of.
alter table broadaxe.run add column concurrency_held smallint not null default 0;
alter table broadaxe.task add column concurrency_held smallint not null default 0;
-- The batch a running item of a batch task was sent in.
alter table broadaxe.task add column batch_id uuid;

create table broadaxe.rate_limit (
    tenant_id uuid not null references broadaxe.tenant on delete cascade,
    key text not null,
    limit_value bigint not null check (limit_value >= 0),
    value bigint not null,
    window_us bigint not null check (window_us > 0),
    last_refill_at timestamptz not null,
    paused_until timestamptz,
    primary key (tenant_id, key)
);

-- Limits of tenants, and what lets rows go that nobody uses any more: workers and rate limits.

-- Limits that people set; a resource without a row has the default (core/quotas.py), null is no limit.
create table broadaxe.quota (
    tenant_id uuid not null references broadaxe.tenant on delete cascade,
    resource text not null check (resource in ('TASK_RUN', 'EVENT', 'WORKER', 'WORKER_SLOT', 'INCOMING_WEBHOOK')),
    limit_value bigint check (limit_value >= 0),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, resource)
);

-- What was used since the resource's window began. Written by the tenant's owner, with what is counted.
create table broadaxe.quota_usage (
    tenant_id uuid not null references broadaxe.tenant on delete cascade,
    resource text not null check (resource in ('TASK_RUN', 'EVENT')),
    value bigint not null check (value >= 0),
    since timestamptz not null,
    primary key (tenant_id, resource)
);

alter table broadaxe.expression_failure drop constraint expression_failure_source_check;
alter table broadaxe.expression_failure add constraint expression_failure_source_check
    check (source in ('FILTER', 'IDEMPOTENCY_KEY', 'WEBHOOK', 'TENANT_LIMIT'));

-- The day of a worker's last sign of life. Heartbeats change it once a day, so that they seldom touch an index.
alter table broadaxe.worker add column seen_on date
    generated always as ((coalesce(last_heartbeat_at, created_at) at time zone 'UTC')::date) stored;
create index worker_by_day on broadaxe.worker (tenant_id, seen_on);

-- Whether a task's expression made the limit, and makes it again when it is wanted. Of those there were nobody knows.
alter table broadaxe.rate_limit add column is_dynamic boolean not null default false;

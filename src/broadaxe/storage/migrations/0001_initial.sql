-- The first schema. Rows hold current state; task_event is the append-only history people read.
-- run, task, task_event, event and log_line are partitioned by day on a UUIDv7, whose first 48 bits are
-- the creation time in milliseconds: a lookup by id finds its partition, and retention drops partitions.
-- tenant_id leads every key, so that the tables can be distributed by tenant.

create schema if not exists broadaxe;

create type broadaxe.run_status as enum ('QUEUED', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED');

create type broadaxe.task_status as enum (
    'WAITING', 'QUEUED', 'BACKOFF', 'RUNNING', 'COMPLETED', 'SKIPPED', 'FAILED', 'CANCELLED'
);

create type broadaxe.task_event_type as enum (
    'REQUEUED_NO_WORKER', 'REQUEUED_RATE_LIMIT', 'SCHEDULING_TIMED_OUT', 'ASSIGNED', 'STARTED', 'FINISHED', 'FAILED',
    'RETRYING', 'CANCELLED', 'TIMED_OUT', 'REASSIGNED', 'SLOT_RELEASED', 'TIMEOUT_REFRESHED', 'RETRIED_BY_USER',
    'SENT_TO_WORKER', 'RATE_LIMIT_ERROR', 'ACKNOWLEDGED', 'CREATED', 'QUEUED', 'SKIPPED', 'WAITING_FOR_BATCH',
    'BATCH_FLUSHED', 'COULD_NOT_SEND_TO_WORKER', 'DURABLE_EVICTED', 'DURABLE_RESTORING'
);

create type broadaxe.member_role as enum ('OWNER', 'ADMIN', 'MEMBER', 'VIEWER');

-- Instants travel as microseconds since the Unix epoch; these two convert without losing any. Intervals multiply in
-- floating point, so seconds and the rest go separately.
create function broadaxe.from_us(us bigint) returns timestamptz
    language sql immutable strict parallel safe
    return timestamptz 'epoch' + us / 1000000 * interval '1 second' + us % 1000000 * interval '1 microsecond';

create function broadaxe.to_us(at timestamptz) returns bigint
    language sql immutable strict parallel safe
    return (extract(epoch from at) * 1000000)::bigint;

-- The smallest UUIDv7 an id made at `at` can have: the bound of a partition or of a time range over ids.
create function broadaxe.id_floor(at timestamptz) returns uuid
    language sql immutable strict parallel safe
    return (lpad(to_hex(floor(greatest(extract(epoch from at), 0) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;

-- Tenancy and people -------------------------------------------------------------------------------------

create table broadaxe.tenant (
    id uuid primary key,
    name text not null,
    slug text not null unique,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table broadaxe.account (
    id uuid primary key,
    email text not null unique,
    name text not null default '',
    password_hash text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table broadaxe.membership (
    id uuid primary key,
    tenant_id uuid not null references broadaxe.tenant on delete cascade,
    account_id uuid not null references broadaxe.account on delete cascade,
    role broadaxe.member_role not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (account_id, tenant_id)
);

-- A login session. Only the SHA-256 of the cookie value is kept.
create table broadaxe.session (
    token_hash bytea primary key,
    account_id uuid not null references broadaxe.account on delete cascade,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);

-- An API token. Only the SHA-256 of the whole token text is kept.
create table broadaxe.api_token (
    id uuid primary key,
    tenant_id uuid not null references broadaxe.tenant on delete cascade,
    name text not null,
    token_hash bytea not null unique,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    expires_at timestamptz not null,
    revoked_at timestamptz
);
create index api_token_by_tenant on broadaxe.api_token (tenant_id, id);

-- Who owns a tenant. Every journal transaction checks (node_id, epoch) in this row before it writes.
create table broadaxe.lease (
    tenant_id uuid primary key references broadaxe.tenant on delete cascade,
    node_id uuid not null,
    address text not null,
    epoch bigint not null,
    expires_at timestamptz not null
);

-- Definitions and workers --------------------------------------------------------------------------------

create table broadaxe.workflow (
    tenant_id uuid not null references broadaxe.tenant on delete cascade,
    id uuid not null,
    name text not null,
    description text not null default '',
    created_at timestamptz not null,
    updated_at timestamptz not null,
    deleted_at timestamptz,
    primary key (tenant_id, id)
);
create unique index workflow_by_name on broadaxe.workflow (tenant_id, name) where deleted_at is null;

-- An immutable snapshot; `definition` is the normalised form of core/definition.py, tasks with their ids.
create table broadaxe.workflow_version (
    tenant_id uuid not null,
    id uuid not null,
    workflow_id uuid not null,
    ordinal bigint not null,
    label text not null default '',
    checksum text not null,
    definition jsonb not null,
    created_at timestamptz not null,
    primary key (tenant_id, id),
    unique (tenant_id, workflow_id, ordinal),
    foreign key (tenant_id, workflow_id) references broadaxe.workflow
);

create table broadaxe.worker (
    tenant_id uuid not null references broadaxe.tenant on delete cascade,
    id uuid not null,
    name text not null,
    actions text[] not null,
    slots jsonb not null,
    labels jsonb not null default '{}',
    runtime jsonb not null default '{}',
    is_paused boolean not null default false,
    is_listening boolean not null default false,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    last_heartbeat_at timestamptz,
    listening_since timestamptz,
    primary key (tenant_id, id)
);

-- Runs ---------------------------------------------------------------------------------------------------

create table broadaxe.run (
    tenant_id uuid not null,
    id uuid not null,
    workflow_id uuid not null,
    workflow_version_id uuid not null,
    is_dag boolean not null,
    display_name text not null,
    status broadaxe.run_status not null,
    priority smallint not null check (priority between 1 and 3),
    input text not null,
    additional_metadata jsonb check (jsonb_typeof(additional_metadata) = 'object'),
    parent_run_id uuid,
    parent_task_id uuid,
    child_index integer,
    child_key text,
    desired_worker_id uuid,
    triggering_event_id uuid,
    triggering_event_key text,
    created_at timestamptz not null,
    started_at timestamptz,
    finished_at timestamptz,
    primary key (tenant_id, id),
    check ((finished_at is not null) = (status in ('COMPLETED', 'FAILED', 'CANCELLED')))
) partition by range (id);
create index run_live on broadaxe.run (tenant_id, id) where finished_at is null;
create index run_unhappy on broadaxe.run (tenant_id, status, id) where status in ('FAILED', 'CANCELLED');
create index run_by_workflow on broadaxe.run (tenant_id, workflow_id, id);
create index run_by_parent on broadaxe.run (tenant_id, parent_task_id, id) where parent_task_id is not null;
create index run_by_event on broadaxe.run (tenant_id, triggering_event_id) where triggering_event_id is not null;
create index run_by_metadata on broadaxe.run using gin (additional_metadata jsonb_path_ops)
    where additional_metadata is not null;

-- One row per task run, holding its latest attempt. `due_at` is the deadline its status carries: QUEUED the
-- schedule timeout, BACKOFF the end of the delay, RUNNING the execution timeout.
create table broadaxe.task (
    tenant_id uuid not null,
    id uuid not null,
    run_id uuid not null,
    workflow_id uuid not null,
    definition_id uuid not null,
    name text not null,
    action_id text not null,
    display_name text not null,
    status broadaxe.task_status not null,
    retry_count integer not null default 0 check (retry_count >= 0),
    app_retry_count integer not null default 0 check (app_retry_count >= 0),
    internal_retry_count integer not null default 0 check (internal_retry_count >= 0),
    queue_priority smallint not null check (queue_priority between 1 and 4),
    worker_id uuid,
    slot_released boolean not null default false,
    event_count integer not null,
    output text,
    error text,
    created_at timestamptz not null,
    queued_at timestamptz,
    assigned_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    due_at timestamptz,
    primary key (tenant_id, id),
    check ((finished_at is not null) = (status in ('COMPLETED', 'SKIPPED', 'FAILED', 'CANCELLED'))),
    check (output is null or status in ('COMPLETED', 'SKIPPED')),
    check (status <> 'RUNNING' or assigned_at is not null)
) partition by range (id);
create index task_by_run on broadaxe.task (tenant_id, run_id) where id <> run_id;
create index task_live on broadaxe.task (tenant_id, id) where finished_at is null;
create index task_by_worker on broadaxe.task (tenant_id, worker_id, id) where worker_id is not null;

-- `seq` counts 1, 2, 3… within a task. A FINISHED event leaves `output` null while task.output holds it; a
-- replay moves the old output here before it clears the task.
create table broadaxe.task_event (
    tenant_id uuid not null,
    task_id uuid not null,
    seq integer not null,
    type broadaxe.task_event_type not null,
    at timestamptz not null,
    retry_count integer not null,
    worker_id uuid,
    message text not null default '',
    error text,
    output text,
    primary key (tenant_id, task_id, seq)
) partition by range (task_id);

create table broadaxe.event (
    tenant_id uuid not null,
    id uuid not null,
    key text not null,
    payload text not null,
    additional_metadata jsonb check (jsonb_typeof(additional_metadata) = 'object'),
    scope text,
    priority smallint,
    seen_at timestamptz not null,
    primary key (tenant_id, id)
) partition by range (id);
create index event_by_key on broadaxe.event (tenant_id, key, id);

create table broadaxe.log_line (
    tenant_id uuid not null,
    id uuid not null,
    task_id uuid not null,
    retry_count integer not null,
    level text not null check (level in ('DEBUG', 'INFO', 'WARN', 'ERROR')),
    message text not null,
    metadata jsonb,
    created_at timestamptz not null,
    primary key (tenant_id, id)
) partition by range (id);
create index log_line_by_task on broadaxe.log_line (tenant_id, task_id, created_at, id);

create table broadaxe.run_default partition of broadaxe.run default;
create table broadaxe.task_default partition of broadaxe.task default;
create table broadaxe.task_event_default partition of broadaxe.task_event default;
create table broadaxe.event_default partition of broadaxe.event default;
create table broadaxe.log_line_default partition of broadaxe.log_line default;

-- Makes the day partitions from `first_day` to `last_day`, both included. Existing ones stay as they are. A day whose
-- rows are in the default partition already (nobody made partitions in time) stays there.
create function broadaxe.ensure_partitions(first_day date, last_day date) returns integer
    language plpgsql as $$
declare
    parent text;
    day date;
    partition_name text;
    made integer := 0;
begin
    perform pg_advisory_xact_lock(hashtext('broadaxe.ensure_partitions'));
    foreach parent in array array['run', 'task', 'task_event', 'event', 'log_line'] loop
        for day in select generate_series(first_day, last_day, interval '1 day')::date loop
            partition_name := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
            if to_regclass(format('broadaxe.%I', partition_name)) is null then
                begin
                    execute format(
                        'create table broadaxe.%I partition of broadaxe.%I for values from (%L) to (%L)',
                        partition_name, parent,
                        broadaxe.id_floor(day::timestamp at time zone 'UTC'),
                        broadaxe.id_floor((day + 1)::timestamp at time zone 'UTC')
                    );
                    made := made + 1;
                exception when check_violation then
                    raise warning 'broadaxe: the rows of % on % stay in the default partition', parent, day;
                end;
            end if;
        end loop;
    end loop;
    return made;
end
$$;

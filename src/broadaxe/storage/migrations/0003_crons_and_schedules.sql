-- Crons, and runs scheduled for an instant.

-- A declared cron comes from its workflow's definition and has no name. `last_tick_at` is written in the transaction
-- that makes the tick's run, so that no tick comes twice.
create table broadaxe.cron (
    tenant_id uuid not null references broadaxe.tenant on delete cascade,
    id uuid not null,
    workflow_id uuid not null,
    expression text not null,
    name text,
    is_declared boolean not null,
    input text not null,
    additional_metadata jsonb check (jsonb_typeof(additional_metadata) = 'object'),
    priority smallint check (priority between 1 and 3),
    is_enabled boolean not null,
    last_tick_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant_id, id),
    unique nulls not distinct (tenant_id, workflow_id, expression, name),
    foreign key (tenant_id, workflow_id) references broadaxe.workflow,
    check (is_declared = (name is null))
);

-- A row goes in the transaction that makes its run. The parent is the task that scheduled it.
create table broadaxe.schedule (
    tenant_id uuid not null references broadaxe.tenant on delete cascade,
    id uuid not null,
    workflow_id uuid not null,
    trigger_at timestamptz not null,
    input text not null,
    additional_metadata jsonb check (jsonb_typeof(additional_metadata) = 'object'),
    priority smallint check (priority between 1 and 3),
    parent_run_id uuid,
    parent_task_id uuid,
    child_index integer,
    child_key text,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant_id, id),
    foreign key (tenant_id, workflow_id) references broadaxe.workflow
);
create index schedule_by_time on broadaxe.schedule (tenant_id, trigger_at, id);
create index schedule_by_workflow on broadaxe.schedule (tenant_id, workflow_id, trigger_at, id);
create index schedule_by_parent on broadaxe.schedule (tenant_id, parent_task_id) where parent_task_id is not null;
create index schedule_by_parent_run on broadaxe.schedule (tenant_id, parent_run_id) where parent_run_id is not null;
create index schedule_by_metadata on broadaxe.schedule using gin (additional_metadata jsonb_path_ops)
    where additional_metadata is not null;

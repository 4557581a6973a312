-- Durable tasks: their logs, and eviction.

alter type broadaxe.task_status add value 'EVICTED' before 'COMPLETED';

create type broadaxe.durable_entry_kind as enum ('RUN', 'WAIT_FOR', 'MEMO', 'SIGNAL');

-- Where a durable task is, from its first assignment. `order_at_eviction` is null unless it is evicted: results up to
-- that place in the order have reached it.
create table broadaxe.durable_task (
    tenant_id uuid not null,
    task_id uuid not null,
    branch_id integer not null,
    branch_count integer not null,
    invocation_count integer not null,
    order_at_eviction bigint,
    primary key (tenant_id, task_id)
) partition by range (task_id);

-- A branch shares the entries of the branch it was taken off before `fork_node_id`.
create table broadaxe.durable_branch (
    tenant_id uuid not null,
    task_id uuid not null,
    branch_id integer not null,
    parent_branch_id integer not null,
    fork_node_id integer not null,
    primary key (tenant_id, task_id, branch_id)
) partition by range (task_id);

-- The log. `wait` holds conditions and how far they are (core/waits.py); `due_at` is the earliest sleep an open wait
-- still needs and `event_keys` the events; `place` is the entry's place in the order of results.
create table broadaxe.durable_entry (
    tenant_id uuid not null,
    task_id uuid not null,
    branch_id integer not null,
    node_id integer not null,
    kind broadaxe.durable_entry_kind not null,
    identity text not null,
    label text not null default '',
    created_at timestamptz not null,
    child_run_id uuid,
    child_key text,
    workflow_name text,
    wait text,
    due_at timestamptz,
    event_keys text[] not null default '{}',
    is_awaited boolean not null,
    is_on_path boolean not null,
    satisfied_at timestamptz,
    place bigint,
    result text,
    is_failure boolean not null default false,
    error text,
    primary key (tenant_id, task_id, branch_id, node_id)
) partition by range (task_id);

-- Conditions that tasks of a DAG wait for, or waited for: `waits` holds them and how far they are (core/conditions.py),
-- `fired` what they brought, for the task's worker.
create table broadaxe.gate (
    tenant_id uuid not null,
    task_id uuid not null,
    is_open boolean not null,
    waits text not null,
    fired text,
    primary key (tenant_id, task_id)
) partition by range (task_id);

create table broadaxe.gate_default partition of broadaxe.gate default;
create table broadaxe.durable_task_default partition of broadaxe.durable_task default;
create table broadaxe.durable_branch_default partition of broadaxe.durable_branch default;
create table broadaxe.durable_entry_default partition of broadaxe.durable_entry default;

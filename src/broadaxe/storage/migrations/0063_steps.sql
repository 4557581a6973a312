-- Steps that applications complete in their own transactions, and what a run says of itself while it runs. Both are rows
-- that the application's transaction writes through functions, so they are there if and only if it commits.

create table broadaxe.task_step (
    tenant_id uuid not null,
    task_id uuid not null,
    name text not null,
    result jsonb not null,
    completed_at timestamptz not null,
    primary key (tenant_id, task_id, name)
) partition by range (task_id);
create table broadaxe.task_step_default partition of broadaxe.task_step default;

create table broadaxe.run_value (
    tenant_id uuid not null,
    run_id uuid not null,
    name text not null,
    value jsonb not null,
    set_at timestamptz not null,
    primary key (tenant_id, run_id, name)
) partition by range (run_id);
create table broadaxe.run_value_default partition of broadaxe.run_value default;

-- As before, with the steps of tasks and the values of runs.
create or replace function broadaxe.drop_partition(parent text, name text, kept_since timestamptz) returns void
    language plpgsql as $$
declare
    keep text := case parent
        when 'run' then
            'old.finished_at is null or old.finished_at >= %L or old.parent_run_id is not null and exists ('
            'select from broadaxe.run p where p.tenant_id = old.tenant_id and p.id = old.parent_run_id '
            'and p.finished_at is null)'
        when 'task' then 'exists (select from broadaxe.run r where r.tenant_id = old.tenant_id and r.id = old.run_id)'
        when 'run_value' then
            'exists (select from broadaxe.run r where r.tenant_id = old.tenant_id and r.id = old.run_id)'
        when 'event' then 'false'
        when 'log_line' then 'false'
        when 'span' then 'false'
        when 'stream_message' then 'false'
        when 'stream_payload' then 'false'
        else 'exists (select from broadaxe.task t where t.tenant_id = old.tenant_id and t.id = old.task_id)'
    end;
begin
    perform set_config('lock_timeout', '500ms', true);
    perform pg_advisory_xact_lock(hashtext('broadaxe.ensure_partitions'));
    if to_regclass(format('broadaxe.%I', name)) is null then
        return; -- another engine was faster
    end if;
    -- From here on nobody writes to it.
    execute format('lock table broadaxe.%I in share mode', name);
    execute format('create temporary table kept (like broadaxe.%I) on commit drop', parent);
    execute format('insert into kept select old.* from broadaxe.%I old where ' || keep, name, kept_since);
    execute format('alter table broadaxe.%I detach partition broadaxe.%I', parent, name);
    execute format('insert into broadaxe.%I select * from kept', parent);
    execute format('drop table broadaxe.%I', name);
    drop table kept;
end
$$;

create or replace function broadaxe.delete_leftovers(before timestamptz) returns void
    language sql as $$
    delete from broadaxe.run_default old
    where old.id < broadaxe.id_floor(before) and old.finished_at < before and broadaxe.is_over(old::broadaxe.run);
    delete from broadaxe.task_default old where old.id < broadaxe.id_floor(before) and not exists (
        select from broadaxe.run r where r.tenant_id = old.tenant_id and r.id = old.run_id
    );
    delete from broadaxe.run_value_default old where old.run_id < broadaxe.id_floor(before) and not exists (
        select from broadaxe.run r where r.tenant_id = old.tenant_id and r.id = old.run_id
    );
    delete from broadaxe.task_event_default old where old.task_id < broadaxe.id_floor(before) and not exists (
        select from broadaxe.task t where t.tenant_id = old.tenant_id and t.id = old.task_id
    );
    delete from broadaxe.durable_task_default old where old.task_id < broadaxe.id_floor(before) and not exists (
        select from broadaxe.task t where t.tenant_id = old.tenant_id and t.id = old.task_id
    );
    delete from broadaxe.durable_branch_default old where old.task_id < broadaxe.id_floor(before) and not exists (
        select from broadaxe.task t where t.tenant_id = old.tenant_id and t.id = old.task_id
    );
    delete from broadaxe.durable_entry_default old where old.task_id < broadaxe.id_floor(before) and not exists (
        select from broadaxe.task t where t.tenant_id = old.tenant_id and t.id = old.task_id
    );
    delete from broadaxe.task_step_default old where old.task_id < broadaxe.id_floor(before) and not exists (
        select from broadaxe.task t where t.tenant_id = old.tenant_id and t.id = old.task_id
    );
    delete from broadaxe.gate_default old where old.task_id < broadaxe.id_floor(before) and not exists (
        select from broadaxe.task t where t.tenant_id = old.tenant_id and t.id = old.task_id
    );
    delete from broadaxe.event_default old where old.id < broadaxe.id_floor(before);
    delete from broadaxe.log_line_default old where old.id < broadaxe.id_floor(before);
    delete from broadaxe.span_default old where old.id < broadaxe.id_floor(before);
$$;

-- Refuses names without letters or with more than 1,024 bytes, and values with more than 4 MiB.
create function broadaxe.check_named_value(field text, name text, value_field text, value jsonb) returns void
    language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
    if coalesce(name, '') = '' then
        raise exception '% needs a name', field using errcode = 'invalid_parameter_value';
    end if;
    if octet_length(name) > 1024 then
        raise exception '% has a name of % bytes, and may have 1024', field, octet_length(name)
            using errcode = 'program_limit_exceeded';
    end if;
    if octet_length(value::text) > 4194304 then
        raise exception '% has % bytes, and may have 4194304', value_field, octet_length(value::text)
            using errcode = 'program_limit_exceeded', hint = 'Store the data in a table and keep its key.';
    end if;
end
$$;

-- Whether a step of a task was completed, and with what: no row if it was not. Until this transaction ends nobody else
-- begins this step, so the answer stays true.
create function broadaxe.begin_step(task uuid, step text, tenant text default null) returns table (result jsonb)
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
    chosen uuid := broadaxe.tenant_of_caller(tenant);
begin
    perform broadaxe.check_named_value('a step', step, 'result', null);
    if not exists (select from broadaxe.task as t where t.tenant_id = chosen and t.id = begin_step.task) then
        raise exception 'there is no task %', coalesce(task::text, 'null')
            using errcode = 'undefined_object', hint = 'In the Python SDK this is ctx.task_run_id.';
    end if;
    perform pg_advisory_xact_lock(hashtextextended('broadaxe.step ' || chosen || task || step, 0));
    return query
        select s.result
        from broadaxe.task_step as s
        where s.tenant_id = chosen and s.task_id = begin_step.task and s.name = step;
end
$$;
comment on function broadaxe.begin_step is
    'The result of a step of a task that was completed before, or no row. Keeps others from beginning it until this transaction ends.';

create function broadaxe.complete_step(task uuid, step text, result jsonb default 'null', tenant text default null)
    returns void
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
    chosen uuid := broadaxe.tenant_of_caller(tenant);
    ended_at timestamptz;
begin
    perform broadaxe.check_named_value('a step', step, 'result', result);
    select t.finished_at into ended_at
    from broadaxe.task as t
    where t.tenant_id = chosen and t.id = complete_step.task;
    if not found then
        raise exception 'there is no task %', coalesce(task::text, 'null')
            using errcode = 'undefined_object', hint = 'In the Python SDK this is ctx.task_run_id.';
    end if;
    if ended_at is not null then
        raise exception 'task % is over, so it completes no step any more', task
            using errcode = 'object_not_in_prerequisite_state', hint = 'It was cancelled or timed out meanwhile: roll back.';
    end if;
    insert into broadaxe.task_step (tenant_id, task_id, name, result, completed_at)
    values (chosen, complete_step.task, step, coalesce(complete_step.result, 'null'), clock_timestamp());
exception when unique_violation then
    raise exception 'step % of task % was completed before', quote_literal(left(step, 80)), task
        using errcode = 'unique_violation', hint = 'Ask broadaxe.begin_step() first, and do what it takes only if there is no row.';
end
$$;
comment on function broadaxe.complete_step is
    'Keeps the result of a step of a task if this transaction commits; it can be completed once.';

create function broadaxe.set_value(run uuid, name text, value jsonb, tenant text default null) returns void
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
    chosen uuid := broadaxe.tenant_of_caller(tenant);
begin
    perform broadaxe.check_named_value('a value', name, 'value', value);
    if not exists (select from broadaxe.run as r where r.tenant_id = chosen and r.id = set_value.run) then
        raise exception 'there is no run %', coalesce(run::text, 'null')
            using errcode = 'undefined_object', hint = 'In the Python SDK this is ctx.workflow_run_id.';
    end if;
    insert into broadaxe.run_value as v (tenant_id, run_id, name, value, set_at)
    values (chosen, set_value.run, set_value.name, coalesce(set_value.value, 'null'), clock_timestamp())
    on conflict on constraint run_value_pkey do update set value = excluded.value, set_at = excluded.set_at;
end
$$;
comment on function broadaxe.set_value is
    'Says something of a run under a name, in the place of what was said under it before, if this transaction commits.';

create function broadaxe.get_value(run uuid, name text, tenant text default null) returns jsonb
    language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
    chosen uuid := broadaxe.tenant_of_caller(tenant);
begin
    return (
        select v.value
        from broadaxe.run_value as v
        where v.tenant_id = chosen and v.run_id = get_value.run and v.name = get_value.name
    );
end
$$;
comment on function broadaxe.get_value is 'What was said last of a run under a name; null if nothing was.';

-- Whoever may enqueue for a tenant may do all of this for it.
create or replace function broadaxe.grant_enqueue(role text, tenant text) returns void
    language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
    granted integer;
begin
    if not exists (select from pg_roles as r where r.rolname = role) then
        raise exception 'there is no role %', coalesce(quote_literal(role), 'null') using errcode = 'undefined_object';
    end if;
    insert into broadaxe.enqueue_grant (role_name, tenant_id)
    select role, t.id from broadaxe.tenant as t where t.slug = tenant or t.id::text = lower(tenant)
    on conflict (role_name, tenant_id) do update set created_at = enqueue_grant.created_at;
    get diagnostics granted = row_count;
    if granted = 0 then
        raise exception 'there is no tenant %', coalesce(quote_literal(tenant), 'null')
            using errcode = 'undefined_object', hint = 'broadaxe tenant list names those there are.';
    end if;
    execute format('grant usage on schema broadaxe to %I', role);
    execute format(
        'grant execute on function broadaxe.enqueue, broadaxe.push_event, broadaxe.publish, broadaxe.begin_step, '
        'broadaxe.complete_step, broadaxe.set_value, broadaxe.get_value to %I', role
    );
end
$$;

create or replace function broadaxe.revoke_enqueue(role text, tenant text) returns void
    language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
    revoked integer;
begin
    delete from broadaxe.enqueue_grant as g
    using broadaxe.tenant as t
    where g.role_name = role and g.tenant_id = t.id and (t.slug = tenant or t.id::text = lower(tenant));
    get diagnostics revoked = row_count;
    if revoked = 0 then
        raise exception 'role % was not granted tenant %', coalesce(quote_ident(role), 'null'),
            coalesce(quote_literal(tenant), 'null') using errcode = 'undefined_object';
    end if;
    if exists (select from pg_roles as r where r.rolname = role)
        and not exists (select from broadaxe.enqueue_grant as g where g.role_name = role)
    then
        execute format(
            'revoke execute on function broadaxe.enqueue, broadaxe.push_event, broadaxe.publish, broadaxe.begin_step, '
            'broadaxe.complete_step, broadaxe.set_value, broadaxe.get_value from %I', role
        );
    end if;
end
$$;

revoke execute on function
    broadaxe.check_named_value, broadaxe.begin_step, broadaxe.complete_step, broadaxe.set_value, broadaxe.get_value
from public;

-- Roles that could enqueue before may do this as well.
do $$
declare
    granted record;
begin
    for granted in
        select distinct g.role_name from broadaxe.enqueue_grant as g join pg_roles as r on r.rolname = g.role_name
    loop
        execute format(
            'grant execute on function broadaxe.begin_step, broadaxe.complete_step, broadaxe.set_value, '
            'broadaxe.get_value to %I', granted.role_name
        );
    end loop;
end
$$;

-- Retention counts from the end of a run, not from its beginning: one that slept for two months and ended this morning
-- is news. Such runs are kept with their tasks, like those that still live.

drop function broadaxe.drop_day(text, date);

-- Drops a day partition of `parent`. Runs that still live, or ended at `kept_since` or later, their tasks and what
-- belongs to these tasks move to the default partition first. Days in order, and within a day run, task, and what
-- belongs to tasks: a task is kept if its run was, an entry if its task was. Whoever holds the table for more than two
-- seconds makes this fail, and nothing has changed.
create function broadaxe.drop_day(parent text, day date, kept_since timestamptz) returns void
    language plpgsql as $$
declare
    partition_name text := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
    keep text := case parent
        when 'task' then 'exists (select from broadaxe.run r where r.tenant_id = old.tenant_id and r.id = old.run_id)'
        when 'run' then null
        when 'event' then null
        when 'log_line' then null
        when 'span' then null
        else
            'exists (select from broadaxe.task t where t.tenant_id = old.tenant_id and t.id = old.task_id)'
    end;
begin
    perform set_config('lock_timeout', '2s', true);
    perform pg_advisory_xact_lock(hashtext('broadaxe.ensure_partitions'));
    if to_regclass(format('broadaxe.%I', partition_name)) is null then
        return; -- another engine was faster
    end if;
    execute format('alter table broadaxe.%I detach partition broadaxe.%I', parent, partition_name);
    if parent = 'run' then
        -- The live ones first: who is their child is then seen beside them.
        execute format(
            'insert into broadaxe.run select * from broadaxe.%I where finished_at is null or finished_at >= %L',
            partition_name, kept_since
        );
        execute format(
            'insert into broadaxe.run select old.* from broadaxe.%I old join broadaxe.run parent '
            'on parent.tenant_id = old.tenant_id and parent.id = old.parent_run_id '
            'where old.finished_at < %L and parent.finished_at is null',
            partition_name, kept_since
        );
    elsif keep is not null then
        execute format(
            'insert into broadaxe.%I select old.* from broadaxe.%I old where %s', parent, partition_name, keep
        );
    end if;
    execute format('drop table broadaxe.%I', partition_name);
end
$$;

-- Deletes what the default partitions hold from before `before` and was over by then.
create or replace function broadaxe.delete_leftovers(before timestamptz) returns void
    language sql as $$
    delete from broadaxe.run_default old
    where old.id < broadaxe.id_floor(before) and old.finished_at < before and broadaxe.is_over(old::broadaxe.run);
    delete from broadaxe.task_default old where old.id < broadaxe.id_floor(before) and not exists (
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
    delete from broadaxe.gate_default old where old.task_id < broadaxe.id_floor(before) and not exists (
        select from broadaxe.task t where t.tenant_id = old.tenant_id and t.id = old.task_id
    );
    delete from broadaxe.event_default old where old.id < broadaxe.id_floor(before);
    delete from broadaxe.log_line_default old where old.id < broadaxe.id_floor(before);
    delete from broadaxe.span_default old where old.id < broadaxe.id_floor(before);
$$;

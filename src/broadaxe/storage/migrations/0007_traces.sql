-- Spans of traces, logs in the order of their time, partitions for every partitioned table, and their end.

-- A span a client sent. `run_id` and `task_id` are what its attributes say and may name nothing we know. Attributes are
-- JSON objects of texts, kept as text because nobody searches them.
create table broadaxe.span (
    tenant_id uuid not null,
    id uuid not null,
    trace_id uuid not null,
    span_id bytea not null check (octet_length(span_id) = 8),
    parent_span_id bytea check (octet_length(parent_span_id) = 8),
    run_id uuid,
    task_id uuid,
    retry_count integer not null,
    name text not null,
    kind smallint not null check (kind between 0 and 5),
    service_name text not null,
    status_code smallint not null check (status_code between 0 and 2),
    status_message text not null,
    started_at timestamptz not null,
    duration_ns bigint not null check (duration_ns >= 0),
    attributes text not null,
    resource_attributes text not null,
    scope_name text not null,
    scope_version text not null,
    primary key (tenant_id, id)
) partition by range (id);
create index span_by_trace on broadaxe.span (tenant_id, trace_id, started_at);
create index span_by_run on broadaxe.span (tenant_id, run_id, started_at) where run_id is not null;
create table broadaxe.span_default partition of broadaxe.span default;

create index log_line_by_time on broadaxe.log_line (tenant_id, created_at, id);

-- Makes the day partitions of every partitioned table from `first_day` to `last_day`, both included. Existing ones stay
-- as they are. A day whose rows are in the default partition already (nobody made partitions in time) stays there.
create or replace function broadaxe.ensure_partitions(first_day date, last_day date) returns integer
    language plpgsql as $$
declare
    parent text;
    day date;
    partition_name text;
    made integer := 0;
begin
    perform pg_advisory_xact_lock(hashtext('broadaxe.ensure_partitions'));
    for parent in
        select c.relname from pg_partitioned_table p join pg_class c on c.oid = p.partrelid
        where c.relnamespace = 'broadaxe'::regnamespace order by c.relname
    loop
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

-- Whether history needs the run no more: it has finished, and no live run may ask for it again as its child.
create function broadaxe.is_over(candidate broadaxe.run) returns boolean
    language sql stable as $$
    select candidate.finished_at is not null and not exists (
        select from broadaxe.run parent
        where parent.tenant_id = candidate.tenant_id and parent.id = candidate.parent_run_id
            and parent.finished_at is null
    )
$$;

-- Drops a day partition of `parent`. Runs that still live, their tasks and these tasks' history move to the default
-- partition first. Days in order, and within a day run, task, task_event: a task is kept if its run was, an entry if
-- its task was. Whoever holds the table for more than two seconds makes this fail, and nothing has changed.
create function broadaxe.drop_day(parent text, day date) returns void
    language plpgsql as $$
declare
    partition_name text := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
    keep text := case parent
        when 'task' then 'exists (select from broadaxe.run r where r.tenant_id = old.tenant_id and r.id = old.run_id)'
        when 'task_event' then
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
        execute format('insert into broadaxe.run select * from broadaxe.%I where finished_at is null', partition_name);
        execute format(
            'insert into broadaxe.run select old.* from broadaxe.%I old join broadaxe.run parent '
            'on parent.tenant_id = old.tenant_id and parent.id = old.parent_run_id '
            'where old.finished_at is not null and parent.finished_at is null',
            partition_name
        );
    elsif keep is not null then
        execute format(
            'insert into broadaxe.%I select old.* from broadaxe.%I old where %s', parent, partition_name, keep
        );
    end if;
    execute format('drop table broadaxe.%I', partition_name);
end
$$;

-- Deletes what the default partitions hold from before `before` and is over by now.
create function broadaxe.delete_leftovers(before timestamptz) returns void
    language sql as $$
    delete from broadaxe.run_default old where old.id < broadaxe.id_floor(before) and broadaxe.is_over(old::broadaxe.run);
    delete from broadaxe.task_default old where old.id < broadaxe.id_floor(before) and not exists (
        select from broadaxe.run r where r.tenant_id = old.tenant_id and r.id = old.run_id
    );
    delete from broadaxe.task_event_default old where old.task_id < broadaxe.id_floor(before) and not exists (
        select from broadaxe.task t where t.tenant_id = old.tenant_id and t.id = old.task_id
    );
    delete from broadaxe.event_default old where old.id < broadaxe.id_floor(before);
    delete from broadaxe.log_line_default old where old.id < broadaxe.id_floor(before);
    delete from broadaxe.span_default old where old.id < broadaxe.id_floor(before);
$$;

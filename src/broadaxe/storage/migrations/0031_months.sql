-- Partitions of a day or of a month, so that there are never so many that a table cannot be used as a whole: Postgres
-- locks each of them for a statement that cannot tell which it needs.

drop function broadaxe.ensure_partitions(date, date);
drop function broadaxe.drop_day(text, date, timestamptz);

-- Every partition with the days it is for, `end_day` being the first that is not; null for the default ones.
create view broadaxe.partition as
select
    parent.relname::text as parent,
    child.relname::text as name,
    spanned.first_day,
    case length(named.digits)
        when 8 then spanned.first_day + 1
        when 6 then (spanned.first_day + interval '1 month')::date
    end as end_day
from pg_partitioned_table p
join pg_class parent on parent.oid = p.partrelid and parent.relnamespace = 'broadaxe'::regnamespace
join pg_inherits i on i.inhparent = parent.oid
join pg_class child on child.oid = i.inhrelid
cross join lateral (select substring(child.relname from '_([0-9]{8}|[0-9]{6})$') as digits) as named
cross join lateral (select to_date(rpad(named.digits, 8, '01'), 'YYYYMMDD') as first_day) as spanned;

create function broadaxe.partition_name(parent text, first_day date, end_day date) returns text
    language sql immutable
    return parent || '_' || to_char(first_day, case when end_day - first_day = 1 then 'YYYYMMDD' else 'YYYYMM' end);

-- Makes the partition for a day or for a month. False if there is one for some of these days already, or rows of them
-- in the default partition (nobody made a partition in time), where they stay.
create function broadaxe.make_partition(parent text, first_day date, end_day date) returns boolean
    language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtext('broadaxe.ensure_partitions'));
    if exists (
        select from broadaxe.partition p
        where p.parent = make_partition.parent and p.first_day < make_partition.end_day
            and p.end_day > make_partition.first_day
    ) then
        return false;
    end if;
    execute format(
        'create table broadaxe.%I partition of broadaxe.%I for values from (%L) to (%L)',
        broadaxe.partition_name(parent, first_day, end_day), parent,
        broadaxe.id_floor(first_day::timestamp at time zone 'UTC'),
        broadaxe.id_floor(end_day::timestamp at time zone 'UTC')
    );
    return true;
exception when check_violation then
    raise warning 'broadaxe: rows of % from % on stay in the default partition', parent, first_day;
    return false;
end
$$;

-- Makes one partition of a past month's days, in one transaction. Whoever reads goes on until the very end; whoever
-- writes to these old days waits.
create function broadaxe.merge_month(parent text, first_day date) returns void
    language plpgsql as $$
declare
    month_end date := (first_day + interval '1 month')::date;
    merged text := broadaxe.partition_name(parent, first_day, month_end);
    first_id uuid := broadaxe.id_floor(first_day::timestamp at time zone 'UTC');
    end_id uuid := broadaxe.id_floor(month_end::timestamp at time zone 'UTC');
    key text;
    days text[];
    day text;
begin
    perform set_config('lock_timeout', '5s', true);
    perform pg_advisory_xact_lock(hashtext('broadaxe.ensure_partitions'));
    days := array(
        select p.name from broadaxe.partition p
        where p.parent = merge_month.parent and p.first_day >= merge_month.first_day
            and p.end_day <= month_end and p.name <> merged
        order by p.first_day
    );
    if days = '{}' then
        return; -- another engine was faster
    end if;
    select a.attname into key
    from pg_partitioned_table p
    join pg_attribute a on a.attrelid = p.partrelid and a.attnum = p.partattrs[0]
    where p.partrelid = format('broadaxe.%I', parent)::regclass;
    execute format('create table broadaxe.%I (like broadaxe.%I including all)', merged, parent);
    -- With it, nobody looks at the rows once more when the table becomes a partition.
    execute format(
        'alter table broadaxe.%I add constraint within_month check (%I >= %L and %I < %L)',
        merged, key, first_id, key, end_id
    );
    foreach day in array days loop
        execute format('lock table broadaxe.%I in share mode', day);
        execute format('insert into broadaxe.%I select * from broadaxe.%I', merged, day);
    end loop;
    execute format(
        'with moved as (delete from broadaxe.%I where %I >= %L and %I < %L returning *) '
        'insert into broadaxe.%I select * from moved',
        parent || '_default', key, first_id, key, end_id, merged
    );
    execute format('analyze broadaxe.%I', merged);
    foreach day in array days loop
        execute format('drop table broadaxe.%I', day);
    end loop;
    execute format(
        'alter table broadaxe.%I attach partition broadaxe.%I for values from (%L) to (%L)',
        parent, merged, first_id, end_id
    );
    execute format('alter table broadaxe.%I drop constraint within_month', merged);
end
$$;

-- Drops a partition of `parent`. Runs that still live, or ended at `kept_since` or later, finished children of live
-- ones, the tasks of all these and what belongs to these tasks move to the default partition. Runs go before tasks, and
-- tasks before what belongs to them: a task is kept if its run was, an entry if its task was. What is kept is looked
-- for before others are shut out. Whoever holds the table for half a second makes this fail, and nothing has changed.
create function broadaxe.drop_partition(parent text, name text, kept_since timestamptz) returns void
    language plpgsql as $$
declare
    keep text := case parent
        when 'run' then
            'old.finished_at is null or old.finished_at >= %L or old.parent_run_id is not null and exists ('
            'select from broadaxe.run p where p.tenant_id = old.tenant_id and p.id = old.parent_run_id '
            'and p.finished_at is null)'
        when 'task' then 'exists (select from broadaxe.run r where r.tenant_id = old.tenant_id and r.id = old.run_id)'
        when 'event' then 'false'
        when 'log_line' then 'false'
        when 'span' then 'false'
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

-- Roles of applications get into the schema; these are not for them.
revoke execute on function
    broadaxe.make_partition, broadaxe.merge_month, broadaxe.drop_partition
from public;

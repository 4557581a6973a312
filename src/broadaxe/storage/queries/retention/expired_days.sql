-- Day partitions of history from before $1, oldest day first; within a day runs before their tasks, tasks before their
-- entries, as drop_day needs it. Called by `retention.enforce`.
select kind.parent, found.day
from unnest(array[
    'run', 'task', 'task_event', 'durable_task', 'durable_branch', 'durable_entry', 'gate', 'event', 'log_line', 'span'
]) with ordinality as kind (parent, place)
join pg_inherits i on i.inhparent = format('broadaxe.%I', kind.parent)::regclass
join pg_class c on c.oid = i.inhrelid
-- Null for the default partition, whose name ends in no day.
cross join lateral (select to_date(substring(c.relname from '_([0-9]{8})$'), 'YYYYMMDD') as day) as found
where found.day < $1
order by found.day, kind.place

-- Partitions of which every day is before $1, in the order that drop_partition needs: runs before their tasks, tasks
-- before their entries. Called by `retention.enforce`.
select p.parent, p.name
from unnest(array[
    'run', 'task', 'run_value', 'task_event', 'durable_task', 'durable_branch', 'durable_entry', 'task_step', 'gate',
    'event', 'log_line', 'span'
]) with ordinality as kind (parent, place)
join broadaxe.partition p on p.parent = kind.parent
where p.end_day <= $1
order by kind.place, p.first_day

-- Every run that has not finished, where there are too many of them for memory, without sleepers (sleepers.sql): the tasks
-- that are nothing but waiting in segments of $3 per queue and priority, each in queue order, as little of them as
-- core/backlog.py remembers; of any other run its id, in rows without a definition. One look at them all tells both, since
-- each look costs as much as the backlog is long. Called by storage/loader.py at activation; rides run_live and task_pkey.
-- $2 the smallest id.
select
    case when s.is_waiting then s.definition_id::text end as definition_id, s.queue_priority,
    string_agg(uuid_send(s.id), ''::bytea order by s.place) as ids,
    min(broadaxe.to_us(s.created_at)) as created_at_us, min(broadaxe.to_us(s.due_at)) as due_at_us
from (
    select
        r.id, k.is_waiting, t.definition_id, t.queue_priority, t.created_at, t.due_at,
        row_number() over (partition by k.is_waiting, t.definition_id, t.queue_priority order by t.queued_at, r.id) - 1 as place
    from broadaxe.run as r
    left join broadaxe.task as t on t.tenant_id = r.tenant_id and t.id = r.id and t.id >= $2::uuid
    cross join lateral (
        select
            r.status = 'QUEUED' and not r.is_dag and r.keys is null and r.desired_labels is null
            and r.desired_worker_id is null and t.status = 'QUEUED' and t.retry_count = 0 and t.queue_priority < 4
            and t.batch_id is null as is_waiting
    ) as k
    where
        r.tenant_id = $1 and r.finished_at is null and r.id >= $2::uuid
        and (r.status = 'RUNNING' and not r.is_dag and r.keys is null and t.status = 'EVICTED') is not true
) as s
group by s.is_waiting, s.definition_id, s.queue_priority, s.place / $3::integer
order by s.is_waiting, s.definition_id, s.queue_priority, s.place / $3::integer

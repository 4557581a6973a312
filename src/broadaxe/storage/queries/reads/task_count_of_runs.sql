-- How many tasks of certain runs pass a filter, counting no further than $16. Called by Reads.count_tasks for the page
-- count. Rides the same indexes as task_list_of_runs; parameters $1 to $15 are those of task_list_of_runs.
with wanted_task as not materialized (
    select t.*
    from broadaxe.task t
    where t.tenant_id = $1
        and t.id >= $2 and t.id < $3
        and t.created_at >= $4 and t.created_at <= $5
        and ($6::broadaxe.task_status[] is null or t.status = any($6))
        and ($7::boolean is not true or t.finished_at is null)
        and ($8::uuid[] is null or t.workflow_id = any($8))
        and ($9::uuid is null or t.worker_id = $9)
        and (t.name <> '(group key)' or t.status in ('FAILED', 'CANCELLED'))
),
wanted_run as not materialized (
    select r.id
    from broadaxe.run r
    where r.tenant_id = $1
        and r.id < $3
        and ($10::uuid is null or r.triggering_event_id = $10)
        and ($11::jsonb[] is null or r.additional_metadata @> any($11))
        and ($12::text[] is null or (
            select count(distinct pair.key)
            from unnest($12, $13::text[]) as pair(key, value)
            where r.additional_metadata ->> pair.key = pair.value
        ) >= case when $14::boolean then (select count(distinct wanted.key) from unnest($12) as wanted(key)) else 1 end)
        and ($15::text[] is null or (
            r.idempotency_key = any($15)
            and md5(r.idempotency_key) = any(array(select md5(given.key) from unnest($15) as given(key)))
        ))
)
select least(count(*), $16)
from (
    (select 1 from wanted_task t join wanted_run r on r.id = t.id where r.id >= $2 limit $16)
    union all
    (select 1 from wanted_task t join wanted_run r on r.id = t.run_id where t.id <> t.run_id limit $16)
) as counted

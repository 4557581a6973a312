-- Ids of the runs that pass a filter, newest first, at most $17. Called by Reads.run_ids and Reads.count_runs.
-- Rides the same indexes as run_list; parameters $1 to $16 are those of run_list.
select r.id
from broadaxe.run r
where r.tenant_id = $1
    and r.id >= $2 and r.id < $3
    and r.created_at >= $4 and r.created_at <= $5
    and ($6::broadaxe.run_status[] is null or r.status = any($6))
    and ($7::boolean is not true or r.finished_at is null)
    and ($8::uuid[] is null or r.workflow_id = any($8))
    and ($9::uuid is null or r.parent_task_id = $9)
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
    and ($16::boolean is null or r.status <> 'RUNNING' or $16 = case
        when r.is_dag then coalesce((
            select bool_and(live.status = 'EVICTED')
            from broadaxe.task live
            where live.tenant_id = r.tenant_id and live.run_id = r.id and live.id <> live.run_id
                and live.id >= broadaxe.id_floor(r.created_at - interval '1 minute') and live.finished_at is null
        ), false)
        else exists (
            select 1
            from broadaxe.task only_one
            where only_one.tenant_id = r.tenant_id and only_one.id = r.id and only_one.status = 'EVICTED'
        )
    end)
order by r.id desc
limit $17

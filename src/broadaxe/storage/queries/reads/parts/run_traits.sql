-- What may be asked of a run `r` beside time, status and workflow: $1 tenant, $10 triggering event, $11 metadata prefilter,
-- $12/$13 metadata keys and values, $14 whether all keys must match, $15 idempotency keys, $16 the run or task that
-- started it, $17 causes, $18 ids. Null means no filter.
($10::uuid is null or r.triggering_event_id = $10)
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
-- The task of a single-task run has its id.
and ($16::uuid is null or r.parent_task_id = any(array(
    select $16
    union all
    select parent.id
    from broadaxe.task parent
    where parent.tenant_id = $1 and parent.run_id = $16 and parent.id <> parent.run_id
)))
and ($17::broadaxe.run_cause[] is null or r.cause = any($17))
and ($18::uuid[] is null or r.id = any($18))

-- What may be asked of a run `r` beside time, status and workflow: $10 triggering event, $11 metadata prefilter, $12/$13
-- metadata keys and values, $14 whether all keys must match, $15 idempotency keys. Null means no filter.
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

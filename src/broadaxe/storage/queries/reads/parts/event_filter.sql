-- Which events `e` are asked for, beside tenant and ids: $4/$5 time range, $6 keys, $7 events, $8 scopes, $9 metadata
-- prefilter, $10/$11 metadata keys and their values as text, all of which an event must have. Null means no filter.
e.seen_at >= $4 and e.seen_at <= $5
and ($6::text[] is null or e.key = any($6))
and ($7::uuid[] is null or e.id = any($7))
and ($8::text[] is null or e.scope = any($8))
and ($9::jsonb[] is null or e.additional_metadata @> any($9))
and ($10::text[] is null or (
    select count(distinct pair.key)
    from unnest($10, $11::text[]) as pair(key, value)
    where e.additional_metadata ->> pair.key = pair.value
) = (select count(distinct wanted.key) from unnest($10) as wanted(key)))

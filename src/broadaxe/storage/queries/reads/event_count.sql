-- How many events pass a filter, counting no further than $12. Called by EventReads.count_events for the page count.
-- Rides the same indexes as event_list; parameters $1 to $11 are those of event_list.
select count(*)
from (
    select 1
    from broadaxe.event e
    where e.tenant_id = $1
        and e.id >= $2 and e.id < $3
        and e.seen_at >= $4 and e.seen_at <= $5
        and ($6::text[] is null or e.key = any($6))
        and ($7::uuid[] is null or e.id = any($7))
        and ($8::text[] is null or e.scope = any($8))
        and ($9::jsonb[] is null or e.additional_metadata @> any($9))
        and ($10::text[] is null or (
            select count(distinct pair.key)
            from unnest($10, $11::text[]) as pair(key, value)
            where e.additional_metadata ->> pair.key = pair.value
        ) = (select count(distinct wanted.key) from unnest($10) as wanted(key)))
    limit $12
) as counted

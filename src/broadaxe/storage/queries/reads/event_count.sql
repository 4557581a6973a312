-- How many events pass a filter, counting no further than $13. Called by Reads.count_events for the page count.
-- Rides the same indexes as event_list; parameters $1 to $12 are those of event_list.
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
        and ($9::text[] is null or not exists (
            select 1
            from unnest($9, $10::text[]) as pair(key, value)
            where e.additional_metadata ->> pair.key is distinct from pair.value
        ))
        and (($11::uuid[] is null and $12::broadaxe.run_status[] is null) or exists (
            select 1
            from broadaxe.run r
            where r.tenant_id = e.tenant_id and r.triggering_event_id = e.id
                and ($11 is null or r.workflow_id = any($11)) and ($12 is null or r.status = any($12))
        ))
    limit $13
) as counted

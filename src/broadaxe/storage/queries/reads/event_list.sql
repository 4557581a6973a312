-- One page of pushed events, newest first. Called by Reads.events_page.
-- Rides the event primary key backwards within the id range, event_by_key or event_by_scope; runs by run_by_event.
-- $1 tenant, $2/$3 id range, $4/$5 time range, $6 keys, $7 events, $8 scopes, $9/$10 metadata keys and their values as
-- text, all of which an event must have, $11 workflows and $12 statuses of triggered runs, $13 limit, $14 offset. Null
-- means no filter.
select e.id, e.key, e.payload, e.additional_metadata, e.scope, e.triggering_webhook_name, e.seen_at
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
order by e.id desc
limit $13 offset $14

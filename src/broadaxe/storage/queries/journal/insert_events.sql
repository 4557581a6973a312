-- Stores pushed events. Called by storage/journal.py.
insert into broadaxe.event (
    tenant_id, id, key, payload, additional_metadata, scope, priority, seen_at, triggering_webhook_name
)
select
    $1, n.id, n.key, n.payload, n.additional_metadata::jsonb, n.scope, n.priority, broadaxe.from_us(n.seen_at),
    n.triggering_webhook_name
from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::smallint[], $8::bigint[], $9::text[])
    as n (id, key, payload, additional_metadata, scope, priority, seen_at, triggering_webhook_name)

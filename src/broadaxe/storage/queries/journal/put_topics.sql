-- Upserts topics that were published to. Called by storage/journal.py; rides stream_topic_pkey.
insert into broadaxe.stream_topic (
    tenant_id, id, namespace, name, last_number, last_message_id, created_at, last_published_at, start_number,
    start_message_id
)
select
    $1, n.id, n.namespace, n.name, n.last_number, n.last_message_id, broadaxe.from_us(n.created_at),
    broadaxe.from_us(n.last_published_at), n.start_number, n.start_message_id
from unnest(
    $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::uuid[], $7::bigint[], $8::bigint[], $9::bigint[], $10::uuid[]
) as n (
    id, namespace, name, last_number, last_message_id, created_at, last_published_at, start_number, start_message_id
)
on conflict (tenant_id, id) do update
set last_number = excluded.last_number,
    last_message_id = excluded.last_message_id,
    last_published_at = excluded.last_published_at,
    start_number = excluded.start_number,
    start_message_id = excluded.start_message_id

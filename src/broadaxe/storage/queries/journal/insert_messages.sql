-- Stores messages of topics. Called by storage/journal.py.
insert into broadaxe.stream_message (tenant_id, id, topic_id, number, created_at, payload, payload_ref)
select $1, n.id, n.topic_id, n.number, broadaxe.from_us(n.created_at), n.payload, n.payload_ref
from unnest($2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bytea[], $7::text[])
    as n (id, topic_id, number, created_at, payload, payload_ref)

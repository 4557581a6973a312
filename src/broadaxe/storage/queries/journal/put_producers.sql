-- Upserts the highest numbers of producers. Called by storage/journal.py; rides stream_producer_pkey.
insert into broadaxe.stream_producer (tenant_id, topic_id, name, seq)
select $1, n.topic_id, n.name, n.seq
from unnest($2::uuid[], $3::text[], $4::bigint[]) as n (topic_id, name, seq)
on conflict (tenant_id, topic_id, name) do update
set seq = excluded.seq,
    used_at = excluded.used_at

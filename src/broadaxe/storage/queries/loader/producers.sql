-- Highest numbers of producers, by topic and name. Called by storage/loader.py; rides stream_producer_pkey.
select p.topic_id::text, p.name, p.seq
from unnest($2::uuid[], $3::text[]) as n (topic_id, name)
join broadaxe.stream_producer as p on p.tenant_id = $1 and p.topic_id = n.topic_id and p.name = n.name

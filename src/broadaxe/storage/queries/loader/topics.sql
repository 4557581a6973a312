-- Topics by id. Called by storage/loader.py; rides stream_topic_pkey.
select
    t.id::text, t.namespace, t.name, t.last_number, t.last_message_id::text, broadaxe.to_us(t.created_at) as created_at_us,
    broadaxe.to_us(t.last_published_at) as last_published_at_us, t.start_number, t.start_message_id::text
from broadaxe.stream_topic as t
where t.tenant_id = $1 and t.id = any ($2::uuid[])

-- The message of topic $2 behind which there are $3. Called by storage/topics.py; rides stream_message_pkey from the end.
select m.number, m.id::text
from broadaxe.stream_message as m
where m.tenant_id = $1 and m.topic_id = $2
order by m.id desc
offset $3
limit 1

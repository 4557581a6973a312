-- A stored payload. Called by storage/topics.py; rides stream_payload_pkey.
select content from broadaxe.stream_payload where tenant_id = $1 and id = $2

-- Whether a payload is there that messages may still name: it was stored within a day, so that it is kept for longer
-- than they are. Called by storage/topics.py; rides stream_payload_pkey.
select exists (
    select from broadaxe.stream_payload
    where tenant_id = $1 and id = $2 and id >= broadaxe.id_floor(clock_timestamp() - interval '1 day')
)

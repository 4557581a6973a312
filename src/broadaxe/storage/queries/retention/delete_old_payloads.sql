-- Deletes payloads of messages from before $1 that came into the default partition. Called by
-- `retention.enforce_messages`.
delete from broadaxe.stream_payload_default where id < broadaxe.id_floor($1)

-- Deletes messages from before $1 that came into the default partition, since nobody had made one in time. Called by
-- `retention.enforce_messages`.
delete from broadaxe.stream_message_default where id < broadaxe.id_floor($1)

-- Stores a payload that is too large for a message. Called by storage/topics.py.
insert into broadaxe.stream_payload (tenant_id, id, content) values ($1, $2, $3)

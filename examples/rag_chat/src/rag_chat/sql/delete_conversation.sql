-- Forget a conversation and its messages, for those who may. Rides the primary key.
delete from conversation
where conversation_id = $1 and (owner_hash is null or owner_hash = $2);

-- Forget a conversation and its messages. Rides the primary key.
delete from conversation
where conversation_id = $1;

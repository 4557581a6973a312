-- The runs that still make answers of a conversation. Called before it is forgotten. Rides message_parent.
select message.run_id
from message
join conversation using (conversation_id)
where conversation_id = $1 and (owner_hash is null or owner_hash = $2) and status = 'running' and run_id is not null
limit $3;

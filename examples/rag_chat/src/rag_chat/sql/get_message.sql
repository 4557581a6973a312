-- One answer, for those who may see its conversation. Called when a page attaches to it. Rides the primary key.
select message_id, conversation_id, parent_id, role, status, content, url, sources, mode, run_id, steps, result, feedback
from message
join conversation using (conversation_id)
where message_id = $1 and (owner_hash is null or owner_hash = $2);

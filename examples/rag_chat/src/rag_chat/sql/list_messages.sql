-- The latest messages of a conversation, newest first. Rides message_conversation.
select message_id, conversation_id, parent_id, role, status, content, url, sources, mode, run_id, steps, result, feedback
from message
where conversation_id = $1
order by ordinal desc
limit $2;

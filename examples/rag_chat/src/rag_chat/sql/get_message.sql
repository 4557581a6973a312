-- One answer. Called when a page attaches to it. Rides the primary key.
select message_id, conversation_id, role, status, content, url, run_id, steps, result, created_at
from message
where message_id = $1;

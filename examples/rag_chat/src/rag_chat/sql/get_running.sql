-- One answer, for the process that follows it. Rides the primary key.
select message_id, conversation_id, parent_id, role, status, content, url, sources, mode, run_id, steps, result, feedback
from message
where message_id = $1;

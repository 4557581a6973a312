-- A message, if it is one of this conversation. Called where a question says where it goes. Rides the primary key.
select message_id, role, content
from message
where message_id = $1 and conversation_id = $2;

-- The answer behind which a question goes that names none. Rides message_conversation.
select message_id
from message
where conversation_id = $1 and role = 'assistant'
order by ordinal desc
limit 1;

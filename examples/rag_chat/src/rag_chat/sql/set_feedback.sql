-- What a person thinks of an answer; returns nothing when there is none they may judge. Rides the primary key.
update message
set feedback = $3
from conversation
where message_id = $1 and role = 'assistant' and conversation.conversation_id = message.conversation_id
    and (owner_hash is null or owner_hash = $2)
returning message_id;

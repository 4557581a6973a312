-- Make the link of a conversation lead nowhere. Rides the primary key.
delete from share
using conversation
where share.conversation_id = $1 and conversation.conversation_id = share.conversation_id
    and (owner_hash is null or owner_hash = $2);

-- What a conversation is called and since when it is shared, for those who may see it. Rides the primary key.
select conversation.conversation_id, conversation.title, share.created_at as shared_at
from conversation
left join share using (conversation_id)
where conversation_id = $1 and (owner_hash is null or owner_hash = $2);

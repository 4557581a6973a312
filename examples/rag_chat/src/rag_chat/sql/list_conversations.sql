-- A person's conversations, the latest first, with the latest message in which all the words are. Called by the list and
-- its search. Rides conversation_owner, then message_conversation for each.
select conversation.conversation_id, conversation.title, conversation.updated_at, share.created_at as shared_at,
       found.content as found
from conversation
left join share using (conversation_id)
left join lateral (
    select content
    from message
    where message.conversation_id = conversation.conversation_id
        and cardinality($3::text[]) > 0 and content ilike all ($3::text[])
    order by ordinal desc
    limit 1
) as found on true
where owner_hash = $1 and ($2::timestamptz is null or updated_at < $2)
    and (conversation.title ilike all ($3::text[]) or found.content is not null)
order by updated_at desc
limit $4;

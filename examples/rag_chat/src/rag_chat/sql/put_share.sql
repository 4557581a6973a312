-- Share a conversation up to one of its finished answers; an earlier link stops working. Returns nothing when there is no
-- such answer this person may share. Rides the primary key.
insert into share (conversation_id, link_hash, message_id)
select conversation_id, $4, message_id
from message
join conversation using (conversation_id)
where message_id = $3 and conversation_id = $1 and (owner_hash is null or owner_hash = $2)
    and role = 'assistant' and status <> 'running'
on conflict (conversation_id) do update
set link_hash = excluded.link_hash, message_id = excluded.message_id, created_at = now()
returning created_at;

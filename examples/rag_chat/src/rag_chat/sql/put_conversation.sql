-- Create a conversation, or note that it goes on; returns nothing when it is somebody else's. Called with each question.
-- Rides the primary key.
insert into conversation (conversation_id, owner_hash, title)
values ($1, $2, left($3, 120))
on conflict (conversation_id) do update set updated_at = now()
where conversation.owner_hash is null or conversation.owner_hash = excluded.owner_hash
returning conversation_id;

-- Give a conversation another name; returns nothing when there is none that this person may change. Rides the primary key.
update conversation
set title = $3
where conversation_id = $1 and (owner_hash is null or owner_hash = $2)
returning conversation_id;

-- What a link shows: the answer it was made at and all that led to it, oldest first. Rides share_link_hash_key, then the
-- primary key of message for each.
with recursive line as (
    select message.*, conversation.title, 1 as length
    from share
    join conversation using (conversation_id)
    join message using (message_id)
    where link_hash = $1
    union all
    select message.*, line.title, line.length + 1
    from line
    join message on message.message_id = line.parent_id
    where line.length < $2
)
select title, message_id, conversation_id, parent_id, role, status, content, url, sources, mode, run_id, steps, result, feedback
from line
order by length desc;

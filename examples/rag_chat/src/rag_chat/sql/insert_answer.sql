-- Write the answer that is about to be made.
insert into message (message_id, conversation_id, role, status, content, url)
values ($1, $2, 'assistant', 'running', '', $3);

-- Write the answer that is about to be made, behind its question.
insert into message (message_id, conversation_id, parent_id, role, status, content, url)
values ($1, $2, $3, 'assistant', 'running', '', $4);

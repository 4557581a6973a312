-- Write the answer that is about to be made, behind its question.
insert into message (message_id, conversation_id, parent_id, role, status, content, url, sources, mode)
values ($1, $2, $3, 'assistant', 'running', '', $4, $5, $6);

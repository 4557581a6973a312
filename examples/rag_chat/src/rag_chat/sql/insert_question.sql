-- Write a question behind an answer, or at the beginning. Called in one transaction with the answer it waits for.
insert into message (message_id, conversation_id, parent_id, role, status, content, url, sources, mode, finished_at)
values ($1, $2, $3, 'user', 'complete', $4, $5, $6, $7, now());

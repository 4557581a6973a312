-- Write a question. Called in one transaction with the answer it waits for.
insert into message (message_id, conversation_id, role, status, content, url, finished_at)
values ($1, $2, 'user', 'complete', $3, $4, now());

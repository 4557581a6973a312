-- Write the end of an answer once; a second writer changes nothing. Rides the primary key.
update message
set status = $2, content = $3, steps = $4, result = $5, passages = $6, finished_at = now()
where message_id = $1 and status = 'running';

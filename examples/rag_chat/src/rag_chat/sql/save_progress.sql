-- Keep the steps and the text so far, so that another process can continue to show them. Fenced by status. Rides the
-- primary key.
update message
set steps = $2, content = $3
where message_id = $1 and status = 'running';

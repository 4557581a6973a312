-- Remember which run makes an answer. Rides the primary key.
update message
set run_id = $2
where message_id = $1;

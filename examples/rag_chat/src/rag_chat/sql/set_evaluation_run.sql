-- Remember which run makes an evaluation. Rides the primary key.
update evaluation
set run_id = $2
where evaluation_id = $1;

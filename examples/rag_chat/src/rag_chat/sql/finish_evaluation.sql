-- Write the end of an evaluation once. Rides the primary key.
update evaluation
set status = $2, error = $3, embedder = $4, finished_at = now()
where evaluation_id = $1 and status = 'running';

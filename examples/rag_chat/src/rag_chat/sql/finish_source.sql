-- A source was read, or could not be. Rides the primary key.
update source
set status = $2, error = $3, read_at = case when $2 = 'ready' then now() else read_at end
where source_id = $1 and status = 'reading';

-- A source is read, for the first time or again. Rides the primary key.
update source
set status = 'reading', error = null, run_id = coalesce($2, run_id)
where source_id = $1;

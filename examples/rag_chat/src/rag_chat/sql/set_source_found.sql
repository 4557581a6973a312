-- How many pages a source has, as far as is known. Rides the primary key.
update source
set found = $2
where source_id = $1;

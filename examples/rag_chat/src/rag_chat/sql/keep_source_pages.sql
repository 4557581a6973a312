-- Pages that a source had before and that were not found any more. Rides the primary key.
delete from source_page
where source_id = $1 and page_id <> all ($2::bigint[]);

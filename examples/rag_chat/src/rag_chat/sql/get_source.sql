-- One source with its number of pages, without the bytes of a file. Rides the primary key and that of source_page.
select source_id, kind, url, content_type, pages_max, reread_days, status, error, run_id, found, created_at, read_at,
       (select count(*) from source_page where source_page.source_id = source.source_id)::integer as pages
from source
where source_id = $1;

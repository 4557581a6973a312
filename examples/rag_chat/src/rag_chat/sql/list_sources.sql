-- The library, newest first. Rides source_created and the primary key of source_page.
select source_id, kind, url, content_type, pages_max, reread_days, status, error, run_id, found, created_at, read_at,
       (select count(*) from source_page where source_page.source_id = source.source_id)::integer as pages
from source
order by created_at desc
limit $1;

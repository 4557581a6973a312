-- A page that was read. Rides the primary key.
select page_id, final_url as url, title, checked_at, indexed_at
from page
where page_id = $1;

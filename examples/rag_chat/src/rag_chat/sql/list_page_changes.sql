-- The latest changes of a page, newest first. Rides page_change_page.
select changed_at, added, removed
from page_change
where page_id = $1
order by page_change_id desc
limit $2;

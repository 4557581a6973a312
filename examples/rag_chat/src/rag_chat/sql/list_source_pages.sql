-- The pages of a source, in the order they were read. Rides the primary key of source_page.
select page.page_id, page.final_url as url, page.title, page.checked_at,
       (select count(*) from passage where passage.page_id = page.page_id)::integer as passages,
       (select count(*) from page_change where page_change.page_id = page.page_id)::integer as changes
from source_page
join page using (page_id)
where source_id = $1
order by page.page_id
limit $2;

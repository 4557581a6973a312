-- A passage as it stands on its page now, and those round it, in their order. Called when a citation is opened. Rides
-- passage_page_id_position_key.
with here as (
    select page_id, position
    from passage
    where page_id = $1 and body = $2
    order by position
    limit 1
)
select passage.position - here.position as distance, passage.heading, passage.body
from here
join passage using (page_id)
where passage.position between here.position - $3 and here.position + $3
order by passage.position;

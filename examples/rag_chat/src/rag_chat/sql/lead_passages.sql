-- The openings of some pages, for questions that match no word ("what is this about?"). Rides
-- passage_page_id_position_key.
select passage_id
from passage
where page_id = any ($1::bigint[])
order by array_position($1::bigint[], page_id), position
limit $2;

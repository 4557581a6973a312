-- The passages behind ids, in the order of the ids. Rides the primary key.
select passage.passage_id, passage.page_id, page.title, passage.heading, passage.url, passage.body
from unnest($1::bigint[]) with ordinality as wanted (passage_id, rank)
join passage using (passage_id)
join page using (page_id)
order by wanted.rank;

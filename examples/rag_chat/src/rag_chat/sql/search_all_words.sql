-- Passages of some pages that match the whole question as websearch_to_tsquery reads it. Rides
-- passage_page_id_position_key or passage_search.
with question as (
    select websearch_to_tsquery('english', $2) as query
)
select passage_id
from passage, question
where page_id = any ($1::bigint[]) and search @@ query
order by ts_rank_cd(search, query, 1) desc, passage_id
limit $3;

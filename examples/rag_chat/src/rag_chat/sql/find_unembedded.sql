-- Passages of some pages that this embedding model has not seen. Called before a search by meaning. Rides
-- passage_page_id_position_key.
select passage_id, heading, body
from passage
where page_id = any ($1::bigint[]) and embedding_model is distinct from $2
order by page_id, position
limit $3;

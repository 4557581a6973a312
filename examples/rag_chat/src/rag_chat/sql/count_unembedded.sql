-- How many passages of some pages this embedding model has not seen. Called before a search by meaning. Rides
-- passage_page_id_position_key.
select count(*)
from passage
where page_id = any ($1::bigint[]) and embedding_model is distinct from $2;

-- Passages nearest to the question's embedding. Called only where pgvector and an embedding model exist. Rides
-- passage_page_id_position_key; the distance is computed exactly.
select passage_id
from passage
where page_id = any ($1::bigint[]) and embedding_model = $3 and vector_dims(embedding) = vector_dims($2::text::vector)
order by embedding <=> $2::text::vector, passage_id
limit $4;

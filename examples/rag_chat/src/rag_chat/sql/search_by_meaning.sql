-- Passages nearest to the question's embedding, where pgvector is. All embeddings have the length 1, so that the inner
-- product is the cosine. Rides passage_page_id_position_key; computed exactly.
select passage_id
from passage
where page_id = any ($1::bigint[]) and embedding_model = $3 and cardinality(embedding) = cardinality($2::real[])
order by embedding::vector <#> $2::real[]::vector, passage_id
limit $4;

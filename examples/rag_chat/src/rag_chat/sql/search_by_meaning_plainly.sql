-- Passages nearest to the question's embedding, on a server without pgvector: the same as search_by_meaning, some twenty
-- times slower, which a few thousand passages bear. Rides passage_page_id_position_key.
with compared as (
    select passage_id,
           (select sum(pair.here * pair.there) from unnest(embedding, $2::real[]) as pair (here, there)) as nearness
    from passage
    where page_id = any ($1::bigint[]) and embedding_model = $3 and cardinality(embedding) = cardinality($2::real[])
)
select passage_id
from compared
order by nearness desc, passage_id
limit $4;

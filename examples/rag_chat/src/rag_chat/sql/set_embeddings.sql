-- Store the embeddings of a batch of passages. Rides the primary key.
update passage
set embedding = given.embedding::real[], embedding_model = $3
from unnest($1::bigint[], $2::text[]) as given (passage_id, embedding)
where passage.passage_id = given.passage_id;

-- How many words a question has, and how many of them stand on some pages. Called before a search, to notice a question
-- in another language than the pages'. Rides passage_search.
with word as (
    select lexeme
    from unnest(to_tsvector('english', translate($2, '\', ' ')))
)
select count(*) as words,
       count(*) filter (
           where exists (
               select from passage where page_id = any ($1::bigint[]) and search @@ quote_literal(lexeme)::tsquery
           )
       ) as known
from word;

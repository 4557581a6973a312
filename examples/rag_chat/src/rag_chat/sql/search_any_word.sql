-- Passages that match any word of the question, best first. Called beside search_all_words, whose "and" is often too
-- strict. Rides passage_page_id_position_key or passage_search.
with word as (
    select lexeme
    from unnest(to_tsvector('english', translate($2, '\', ' ')))
),
question as (
    select string_agg(quote_literal(lexeme), ' | ')::tsquery as query
    from word
),
matched as (
    select passage.passage_id, passage.search, question.query,
           (select count(*) from word where passage.search @@ quote_literal(word.lexeme)::tsquery) as words
    from passage, question
    where page_id = any ($1::bigint[]) and search @@ query
)
select passage_id
from matched
order by words desc, ts_rank_cd(search, query, 1) desc, passage_id
limit $3;

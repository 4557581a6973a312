-- The passages of a page, in order, each with the number of answers that cite it, and the latest $3 of these that are the
-- person's own ($2): their conversations and what was asked. Rides passage_page_id_position_key, message_result and, for
-- each answer, primary keys.
with cited as (
    select distinct (citation ->> 'passage_id')::bigint as passage_id, message_id
    from message, jsonb_array_elements(result -> 'citations') as citation
    where result @> jsonb_build_object('citations', jsonb_build_array(jsonb_build_object('page_id', $1::bigint)))
        and citation ->> 'passage_id' is not null
), counted as (
    select passage_id, count(*)::integer as answers
    from cited
    group by passage_id
), own as (
    select passage_id, conversation_id, question.content as question,
           row_number() over (partition by passage_id order by answer.ordinal desc) as place
    from cited
    join message as answer using (message_id)
    join conversation using (conversation_id)
    join message as question using (conversation_id)
    where owner_hash = $2 and question.message_id = answer.parent_id
), shown as (
    select passage_id, jsonb_agg(jsonb_build_object(
        'conversationId', conversation_id, 'question', left(question, 200)) order by place) as own_answers
    from own
    where place <= $3
    group by passage_id
)
select passage_id, heading, url, body, coalesce(answers, 0) as answers, coalesce(own_answers, '[]') as own_answers
from passage
left join counted using (passage_id)
left join shown using (passage_id)
where page_id = $1
order by position;

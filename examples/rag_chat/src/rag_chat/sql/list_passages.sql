-- The passages of a page, in order, each with the number of answers that cite it. Rides passage_page_id_position_key and
-- message_result.
with cited as (
    select (citation ->> 'passage_id')::bigint as passage_id, count(distinct message_id)::integer as answers
    from message, jsonb_array_elements(result -> 'citations') as citation
    where result @> jsonb_build_object('citations', jsonb_build_array(jsonb_build_object('page_id', $1::bigint)))
        and citation ->> 'passage_id' is not null
    group by 1
)
select passage_id, heading, url, body, coalesce(answers, 0) as answers
from passage
left join cited using (passage_id)
where page_id = $1
order by position;

-- The questions of an evaluation that are done, in order. Rides the primary key.
select position, question, pages, scores
from evaluated_question
where evaluation_id = $1
order by position;

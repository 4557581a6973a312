-- Write what was found for a question; a second attempt writes the same. Rides the primary key.
insert into evaluated_question (evaluation_id, position, question, pages, scores)
values ($1, $2, $3, $4, $5)
on conflict (evaluation_id, position) do update
set scores = excluded.scores;

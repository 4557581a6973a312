-- The latest evaluations, newest first. Rides evaluation_created.
select evaluation_id, url, status, error, run_id, embedder, questions, created_at, finished_at
from evaluation
order by created_at desc
limit $1;

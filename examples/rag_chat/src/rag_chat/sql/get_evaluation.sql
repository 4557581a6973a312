-- One evaluation. Rides the primary key.
select evaluation_id, url, status, error, run_id, embedder, questions, created_at, finished_at
from evaluation
where evaluation_id = $1;

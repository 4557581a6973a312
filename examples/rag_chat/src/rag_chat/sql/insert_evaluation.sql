-- Begin an evaluation. Called by the edge before its run is started.
insert into evaluation (evaluation_id, url, questions)
values ($1, $2, $3);

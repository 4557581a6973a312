-- What commit_runs.sql writes of a batch in which nothing is new. Called by storage/journal.py; rides run_pkey and
-- task_pkey. Parameters as there.
with fence as materialized (
    select 1 where broadaxe.hold_lease($1, $2, $3)
),
updated_runs as (
    \ir parts/updated_runs.sql
),
updated_tasks as (
    \ir parts/updated_tasks.sql
),
inserted_task_events as (
    \ir parts/inserted_task_events.sql
)
select
    (select count(*) from fence)::integer as fences,
    broadaxe.refuse_missing('runs', (select count(*) from updated_runs where not was_there)),
    broadaxe.refuse_missing('tasks', (select count(*) from updated_tasks where not was_there))

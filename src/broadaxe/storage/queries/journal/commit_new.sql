-- What commit_runs.sql writes of a batch in which nothing was there before. Called by storage/journal.py; rides run_pkey
-- and task_pkey. Parameters as there; those of changed rows are null, and named so that the parts keep their numbers.
with fence as materialized (
    select 1 where broadaxe.hold_lease($1, $2, $3) and coalesce($5::text, $6::text) is null and cardinality($7::text[]) = 0
),
inserted_runs as (
    \ir parts/inserted_runs.sql
),
inserted_tasks as (
    \ir parts/inserted_tasks.sql
),
inserted_task_events as (
    \ir parts/inserted_task_events.sql
)
select
    (select count(*) from fence)::integer as fences

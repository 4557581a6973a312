-- Writes the runs, tasks and history of one batch, new ones and changed ones, in one statement, if and only if the lease
-- still stands: every part reads `fence`, so a node that lost the tenant writes nothing and sees 0. The lock is taken
-- inside a function, never in this plan (0025_fence.sql says why). Called by storage/journal.py for a batch that has both;
-- commit_new.sql and commit_changes.sql are for those that have either. Rides run_pkey and task_pkey.
-- $1 tenant, $2 node, $3 epoch, $4 history, $5 changed runs, $6 changed tasks, $7 their outputs, $8 new runs, $9 their
-- inputs, $10 new tasks: each table is one text, a JSON array of an array for each row; payloads come as they are.
with fence as materialized (
    select 1 where broadaxe.hold_lease($1, $2, $3)
),
inserted_runs as (
    \ir parts/inserted_runs.sql
),
updated_runs as (
    \ir parts/updated_runs.sql
),
inserted_tasks as (
    \ir parts/inserted_tasks.sql
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

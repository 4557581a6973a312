-- One page of runs, newest or oldest first, without their tasks. Called by Reads.runs_page. Rides the primary key in
-- either direction within the partitions of the id range; with filters run_live, run_unhappy, run_by_workflow,
-- run_by_parent, run_by_event, run_by_idempotency_key, run_by_cause or run_by_metadata. $1 tenant, $2/$3 id range (a page
-- behind a place ends or begins there), $4/$5 creation time range, $6 statuses, $7 whether all of them are live, $8
-- workflows, $9 parent task, $10 triggering event, $11 metadata prefilter, $12/$13 metadata keys and values, $14 whether
-- all keys must match, $15 idempotency keys, $16 parent run or task, $17 causes, $18 ids, $19 which RUNNING runs: those
-- whose live tasks are all evicted, or the others, $20 worker, $21 whether payloads are wanted, $22 limit, $23 offset,
-- $24 whether the oldest come first. Null means no filter.
with page as (
    select r.*
    from broadaxe.run r
    where
        \ir parts/run_filter.sql
    order by case when not $24::boolean then r.id end desc, case when $24 then r.id end
    limit $22 offset $23
)
select
    page.tenant_id, page.id, page.workflow_id, w.name as workflow_name, page.workflow_version_id, page.is_dag,
    page.display_name, page.status, case when $21::boolean then page.input end as input, page.additional_metadata,
    page.parent_task_id, page.idempotency_key, page.priority, page.cause, page.created_at, page.started_at,
    page.finished_at
from page
join broadaxe.workflow w on w.tenant_id = page.tenant_id and w.id = page.workflow_id
order by case when not $24 then page.id end desc, case when $24 then page.id end

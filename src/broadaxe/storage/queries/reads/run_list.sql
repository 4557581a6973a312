-- One page of runs, newest first, without their tasks. Called by Reads.runs_page. Rides the primary key backwards
-- within the partitions of the id range; with filters run_live, run_unhappy, run_by_workflow, run_by_parent,
-- run_by_event, run_by_idempotency_key or run_by_metadata. $1 tenant, $2/$3 id range (a page behind a place ends it
-- there), $4/$5 creation time range, $6 statuses, $7 whether all of them are live, $8 workflows, $9 parent task, $10
-- triggering event, $11 metadata prefilter, $12/$13 metadata keys and values, $14 whether all keys must match, $15
-- idempotency keys, $16 which RUNNING runs: those whose live tasks are all evicted, or the others, $17 whether payloads
-- are wanted, $18 limit, $19 offset. Null means no filter.
with page as (
    select r.*
    from broadaxe.run r
    where
        \ir parts/run_filter.sql
    order by r.id desc
    limit $18 offset $19
)
select
    page.tenant_id, page.id, page.workflow_id, w.name as workflow_name, page.workflow_version_id, page.is_dag,
    page.display_name, page.status, case when $17::boolean then page.input end as input, page.additional_metadata,
    page.parent_task_id, page.idempotency_key, page.cause, page.created_at, page.started_at, page.finished_at
from page
join broadaxe.workflow w on w.tenant_id = page.tenant_id and w.id = page.workflow_id
order by page.id desc

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
    where r.tenant_id = $1
        and r.id >= $2 and r.id < $3
        and r.created_at >= $4 and r.created_at <= $5
        and ($6::broadaxe.run_status[] is null or r.status = any($6))
        and ($7::boolean is not true or r.finished_at is null)
        and ($8::uuid[] is null or r.workflow_id = any($8))
        and ($9::uuid is null or r.parent_task_id = $9)
        and ($10::uuid is null or r.triggering_event_id = $10)
        and ($11::jsonb[] is null or r.additional_metadata @> any($11))
        and ($12::text[] is null or (
            select count(distinct pair.key)
            from unnest($12, $13::text[]) as pair(key, value)
            where r.additional_metadata ->> pair.key = pair.value
        ) >= case when $14::boolean then (select count(distinct wanted.key) from unnest($12) as wanted(key)) else 1 end)
        and ($15::text[] is null or (
            r.idempotency_key = any($15)
            and md5(r.idempotency_key) = any(array(select md5(given.key) from unnest($15) as given(key)))
        ))
        and ($16::boolean is null or r.status <> 'RUNNING' or $16 = case
            when r.is_dag then coalesce((
                select bool_and(live.status = 'EVICTED')
                from broadaxe.task live
                where live.tenant_id = r.tenant_id and live.run_id = r.id and live.id <> live.run_id
                    and live.id >= broadaxe.id_floor(r.created_at - interval '1 minute') and live.finished_at is null
            ), false)
            else exists (
                select 1
                from broadaxe.task only_one
                where only_one.tenant_id = r.tenant_id and only_one.id = r.id and only_one.status = 'EVICTED'
            )
        end)
    order by r.id desc
    limit $18 offset $19
)
select
    page.tenant_id, page.id, page.workflow_id, w.name as workflow_name, page.workflow_version_id, page.is_dag,
    page.display_name, page.status, case when $17::boolean then page.input end as input, page.additional_metadata,
    page.parent_task_id, page.idempotency_key, page.created_at, page.started_at, page.finished_at
from page
join broadaxe.workflow w on w.tenant_id = page.tenant_id and w.id = page.workflow_id
order by page.id desc

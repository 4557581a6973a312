-- Which runs `r` are asked for: $1 tenant, $2/$3 id range, $4/$5 creation time range, $6 statuses, $7 whether all of them
-- are live, $8 workflows, $9 parent task, $10 to $15 as in run_traits, $16 which RUNNING runs: those whose live tasks are
-- all evicted, or the others. Null means no filter.
r.tenant_id = $1
and r.id >= $2 and r.id < $3
and r.created_at >= $4 and r.created_at <= $5
and ($6::broadaxe.run_status[] is null or r.status = any($6))
and ($7::boolean is not true or r.finished_at is null)
and ($8::uuid[] is null or r.workflow_id = any($8))
and ($9::uuid is null or r.parent_task_id = $9)
and (
    \ir run_traits.sql
)
and ($16::boolean is null or r.status <> 'RUNNING' or $16 = (
    \ir run_is_evicted.sql
))

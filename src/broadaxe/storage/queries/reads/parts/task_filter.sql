-- Which tasks `t` are asked for: $1 tenant, $2/$3 id range, $4/$5 creation time range, $6 statuses, $7 whether all of them
-- are live, $8 workflows, $9 worker. Null means no filter. A key task is shown only when it is why its run went wrong; it
-- is nothing that anybody declared.
t.tenant_id = $1
and t.id >= $2 and t.id < $3
and t.created_at >= $4 and t.created_at <= $5
and ($6::broadaxe.task_status[] is null or t.status = any($6))
and ($7::boolean is not true or t.finished_at is null)
and ($8::uuid[] is null or t.workflow_id = any($8))
and ($9::uuid is null or t.worker_id = $9)
and (t.name <> '(group key)' or t.status in ('FAILED', 'CANCELLED'))

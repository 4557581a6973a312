-- The newest tasks that failed, with the front and the end of what they said. Called by FailureReads.newest. Rides
-- task_unhappy backwards. $1 tenant, $2/$3 id range, $4/$5 creation time range, $6 workflows or null, $7/$8 characters of
-- the front and of the end, $9 limit.
select
    t.id, t.run_id, t.workflow_id, w.name as workflow_name, t.name, t.finished_at, left(t.error, $7) as head,
    case when length(t.error) > $7 then right(t.error, least($8::integer, length(t.error) - $7)) else '' end as tail
from (
    select f.*
    from broadaxe.task f
    where f.tenant_id = $1 and f.status = 'FAILED' and f.id >= $2 and f.id < $3
        and f.created_at >= $4 and f.created_at <= $5 and ($6::uuid[] is null or f.workflow_id = any($6))
    order by f.id desc
    limit $9
) as t
join broadaxe.workflow w on w.tenant_id = t.tenant_id and w.id = t.workflow_id
order by t.id desc

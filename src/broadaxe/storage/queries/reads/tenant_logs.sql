-- The log lines of a tenant, whatever the task. Called by LogReads.tenant_logs.
-- Rides log_line_by_time in either direction, within the partitions of the id range. $1 tenant, $2 smallest id,
-- $3/$4 time range (both exclusive), $5 escaped text to find, $6 levels, $7 attempt, $8 workflows, $9 task definitions,
-- $10 newest first, $11 limit, $12 offset, $13/$14 the line behind which to begin (instant, id). Null means no filter.
select
    l.id, l.task_id, t.display_name, l.retry_count, l.level, l.message, l.metadata, l.created_at
from broadaxe.log_line l
join broadaxe.task t on t.tenant_id = l.tenant_id and t.id = l.task_id
where l.tenant_id = $1 and l.id >= $2::uuid
    and ($3::timestamptz is null or l.created_at > $3)
    and ($4::timestamptz is null or l.created_at < $4)
    and ($5::text is null or l.message ilike '%' || $5 || '%')
    and ($6::text[] is null or l.level = any($6))
    and ($7::integer is null or l.retry_count = $7)
    and ($8::uuid[] is null or t.workflow_id = any($8))
    and ($9::uuid[] is null or t.definition_id = any($9))
    and ($13::timestamptz is null or case
        when $10 then (l.created_at, l.id) < ($13, $14::uuid) else (l.created_at, l.id) > ($13, $14)
    end)
order by
    case when $10::boolean then l.created_at end desc, case when $10 then l.id end desc,
    case when not $10 then l.created_at end, case when not $10 then l.id end
limit $11 offset $12

-- The log lines of some tasks. Called by LogReads.task_logs. Rides log_line_by_task within the partitions from $3 on.
-- $1 tenant, $2 tasks, $3 smallest id a line of theirs can have, $4/$5 time range (both exclusive), $6 escaped text to
-- find, $7 levels, $8 attempt, $9 newest first, $10 limit, $11 offset, $12/$13 the line behind which to begin (instant,
-- id). Null means no filter.
select
    l.id, l.task_id, t.display_name, l.retry_count, l.level, l.message, l.metadata, l.created_at
from broadaxe.log_line l
join broadaxe.task t on t.tenant_id = l.tenant_id and t.id = l.task_id
where l.tenant_id = $1 and l.task_id = any($2::uuid[]) and l.id >= $3::uuid
    and ($4::timestamptz is null or l.created_at > $4)
    and ($5::timestamptz is null or l.created_at < $5)
    and ($6::text is null or l.message ilike '%' || $6 || '%')
    and ($7::text[] is null or l.level = any($7))
    and ($8::integer is null or l.retry_count = $8)
    and ($12::timestamptz is null or case
        when $9 then (l.created_at, l.id) < ($12, $13::uuid) else (l.created_at, l.id) > ($12, $13)
    end)
order by
    case when $9::boolean then l.created_at end desc, case when $9 then l.id end desc,
    case when not $9 then l.created_at end, case when not $9 then l.id end
limit $10 offset $11

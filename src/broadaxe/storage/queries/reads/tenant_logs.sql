-- The log lines of a tenant, whatever the task, among the first $15 in the order asked for (null: all). Called by
-- LogReads.tenant_logs. When these are not enough for a page and there are more, a last row without a task says which
-- line was looked at last. Rides log_line_by_time in either direction, within the partitions of the id range.
-- $1 tenant, $2 smallest id, $3/$4 time range (both exclusive), $5 escaped text to find, $6 levels, $7 attempt,
-- $8 workflows, $9 task definitions, $10 newest first, $11 limit, $12 offset, $13/$14 the line behind which to begin
-- (instant, id). Null means no filter.
(
    select l.id, l.task_id, t.display_name, l.retry_count, l.level, l.message, l.metadata, l.created_at
    from (
        select line.*
        from broadaxe.log_line line
        where line.tenant_id = $1 and line.id >= $2::uuid
            and ($3::timestamptz is null or line.created_at > $3)
            and ($4::timestamptz is null or line.created_at < $4)
            and ($13::timestamptz is null or case
                when $10::boolean then (line.created_at, line.id) < ($13, $14::uuid)
                else (line.created_at, line.id) > ($13, $14)
            end)
        order by
            case when $10 then line.created_at end desc, case when $10 then line.id end desc,
            case when not $10 then line.created_at end, case when not $10 then line.id end
        limit $15::bigint
    ) as l
    cross join lateral (
        select of_line.display_name, of_line.workflow_id, of_line.definition_id
        from broadaxe.task of_line
        where of_line.tenant_id = l.tenant_id and of_line.id = l.task_id
        offset 0
    ) as t
    where ($5::text is null or l.message ilike '%' || $5 || '%')
        and ($6::text[] is null or l.level = any($6))
        and ($7::integer is null or l.retry_count = $7)
        and ($8::uuid[] is null or t.workflow_id = any($8))
        and ($9::uuid[] is null or t.definition_id = any($9))
    order by
        case when $10 then l.created_at end desc, case when $10 then l.id end desc,
        case when not $10 then l.created_at end, case when not $10 then l.id end
    limit $11 offset $12
)
union all
(
    select line.id, null, null, null, null, null, null, line.created_at
    from broadaxe.log_line line
    where $15 is not null and line.tenant_id = $1 and line.id >= $2
        and ($3 is null or line.created_at > $3)
        and ($4 is null or line.created_at < $4)
        and ($13 is null or case
            when $10 then (line.created_at, line.id) < ($13, $14) else (line.created_at, line.id) > ($13, $14)
        end)
    order by
        case when $10 then line.created_at end desc, case when $10 then line.id end desc,
        case when not $10 then line.created_at end, case when not $10 then line.id end
    limit 1 offset $15 - 1
)
limit $11

-- How many log lines of each level fall in each time bucket, empty buckets included, among the latest $11 lines of the
-- window. Called by LogReads.log_buckets. `counted_since` is the instant of the earliest line looked at when there are more
-- than that, else null. Rides log_line_by_time backwards; looks at tasks only for a filter that is about them.
-- $1 tenant, $2 smallest id, $3 window start (aligned), $4 window end, $5 bucket width, $6 tasks, $7 escaped text to find,
-- $8 levels, $9 workflows, $10 task definitions. Null: no filter.
with bucket as (
    select generate_series($3::timestamptz, $4::timestamptz, $5::interval) as starts_at
),
counted as (
    select
        date_bin($5::interval, l.created_at, $3::timestamptz) as starts_at,
        count(*) filter (where l.level = 'DEBUG') as debug,
        count(*) filter (where l.level = 'INFO') as info,
        count(*) filter (where l.level = 'WARN') as warn,
        count(*) filter (where l.level = 'ERROR') as error
    from (
        select line.tenant_id, line.task_id, line.level, line.message, line.created_at
        from broadaxe.log_line line
        where line.tenant_id = $1 and line.id >= $2 and line.created_at >= $3 and line.created_at <= $4
            and ($6::uuid[] is null or line.task_id = any($6))
        order by line.created_at desc, line.id desc
        limit $11::bigint
    ) as l
    where ($7::text is null or l.message ilike '%' || $7 || '%')
        and ($8::text[] is null or l.level = any($8))
        and (($9::uuid[] is null and $10::uuid[] is null) or exists (
            select 1
            from broadaxe.task t
            where t.tenant_id = l.tenant_id and t.id = l.task_id
                and ($9 is null or t.workflow_id = any($9)) and ($10 is null or t.definition_id = any($10))
        ))
    group by 1
),
earliest as (
    select line.created_at as counted_since
    from broadaxe.log_line line
    where line.tenant_id = $1 and line.id >= $2 and line.created_at >= $3 and line.created_at <= $4
        and ($6 is null or line.task_id = any($6))
    order by line.created_at desc, line.id desc
    limit 1 offset $11
)
select
    bucket.starts_at, coalesce(counted.debug, 0) as debug, coalesce(counted.info, 0) as info,
    coalesce(counted.warn, 0) as warn, coalesce(counted.error, 0) as error, earliest.counted_since
from bucket
left join counted using (starts_at)
left join earliest on true
order by bucket.starts_at

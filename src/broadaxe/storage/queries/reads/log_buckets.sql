-- How many log lines of each level fall in each time bucket, empty buckets included. Called by LogReads.log_buckets.
-- Rides log_line_by_time; looks at tasks only for a filter that is about them. $1 tenant, $2 smallest id, $3 window start (aligned), $4 window end,
-- $5 bucket width, $6 tasks, $7 escaped text to find, $8 levels, $9 workflows, $10 task definitions. Null: no filter.
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
    from broadaxe.log_line l
    where l.tenant_id = $1 and l.id >= $2 and l.created_at >= $3 and l.created_at <= $4
        and ($6::uuid[] is null or l.task_id = any($6))
        and ($7::text is null or l.message ilike '%' || $7 || '%')
        and ($8::text[] is null or l.level = any($8))
        and (($9::uuid[] is null and $10::uuid[] is null) or exists (
            select 1
            from broadaxe.task t
            where t.tenant_id = l.tenant_id and t.id = l.task_id
                and ($9 is null or t.workflow_id = any($9)) and ($10 is null or t.definition_id = any($10))
        ))
    group by 1
)
select
    bucket.starts_at, coalesce(counted.debug, 0) as debug, coalesce(counted.info, 0) as info,
    coalesce(counted.warn, 0) as warn, coalesce(counted.error, 0) as error
from bucket
left join counted using (starts_at)
order by bucket.starts_at

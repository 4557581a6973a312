-- How many tasks succeeded and failed in each time bucket, empty buckets included. Called by CountReads.finished_buckets.
-- Rides task_by_finish of every partition, for nothing but the window, and reads no task: a smallest id, which would leave
-- out partitions, is not in that index. $1 tenant, $2 window start (aligned), $3 window end, $4 bucket width.
with bucket as (
    select generate_series($2::timestamptz, $3::timestamptz, $4::interval) as starts_at
),
counted as (
    select
        date_bin($4::interval, t.finished_at, $2::timestamptz) as starts_at,
        count(*) filter (where t.status in ('COMPLETED', 'SKIPPED')) as succeeded,
        count(*) filter (where t.status = 'FAILED') as failed
    from broadaxe.task t
    where t.tenant_id = $1 and t.finished_at >= $2 and t.finished_at <= $3
    group by 1
)
select bucket.starts_at, coalesce(counted.succeeded, 0) as succeeded, coalesce(counted.failed, 0) as failed
from bucket
left join counted using (starts_at)
order by bucket.starts_at

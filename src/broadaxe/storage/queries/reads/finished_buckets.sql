-- How many tasks succeeded and failed in each time bucket, empty buckets included. Called by Reads.finished_buckets.
-- Rides task_by_finish of the partitions that can hold tasks finished in the window. $1 tenant, $2 smallest id,
-- $3 window start (aligned), $4 window end, $5 bucket width.
with bucket as (
    select generate_series($3::timestamptz, $4::timestamptz, $5::interval) as starts_at
),
counted as (
    select
        date_bin($5::interval, t.finished_at, $3::timestamptz) as starts_at,
        count(*) filter (where t.status in ('COMPLETED', 'SKIPPED')) as succeeded,
        count(*) filter (where t.status = 'FAILED') as failed
    from broadaxe.task t
    where t.tenant_id = $1 and t.id >= $2 and t.finished_at >= $3 and t.finished_at <= $4
    group by 1
)
select bucket.starts_at, coalesce(counted.succeeded, 0) as succeeded, coalesce(counted.failed, 0) as failed
from bucket
left join counted using (starts_at)
order by bucket.starts_at

-- How busy a worker was over time: what ended on it in each bucket, and how many tasks it ran at once at the most. Called
-- by LoadReads.of_worker. Rides task_by_worker backwards; looks at its latest $6 tasks that were made since $5. A task is
-- the worker's that ran its last attempt. $1 tenant, $2 worker, $3 window start (aligned), $4 now, $7 bucket width.
with bucket as (
    select generate_series($3::timestamptz, $4::timestamptz, $7::interval) as starts_at
),
own as (
    select t.status, coalesce(t.started_at, t.assigned_at) as began_at, t.finished_at
    from (
        select task.status, task.started_at, task.assigned_at, task.finished_at
        from broadaxe.task task
        where task.tenant_id = $1 and task.worker_id = $2 and task.id >= $5::uuid
        order by task.id desc
        limit $6
    ) t
    where t.status <> 'EVICTED' and (t.finished_at is null or t.finished_at >= $3)
),
moved as (
    select greatest(own.began_at, $3) as at, 1 as running, 0 as succeeded, 0 as failed from own where own.began_at <= $4
    union all
    select
        own.finished_at, case when own.began_at is null then 0 else -1 end,
        (own.status in ('COMPLETED', 'SKIPPED'))::integer, (own.status = 'FAILED')::integer
    from own
    where own.finished_at <= $4
),
level as (
    -- Of what happens at one instant, ends come first: a slot is free before it is taken again.
    select
        date_bin($7, moved.at, $3) as starts_at, moved.running as moved, moved.succeeded, moved.failed,
        sum(moved.running) over (order by moved.at, moved.running rows unbounded preceding) as running
    from moved
),
by_bucket as (
    select
        level.starts_at, max(level.running) as most, sum(level.moved) as moved, sum(level.succeeded) as succeeded,
        sum(level.failed) as failed
    from level
    group by level.starts_at
)
select
    bucket.starts_at, coalesce(by_bucket.succeeded, 0) as succeeded, coalesce(by_bucket.failed, 0) as failed,
    -- A bucket begins with what still ran at the end of the one before.
    greatest(
        by_bucket.most,
        sum(by_bucket.moved) over (order by bucket.starts_at rows between unbounded preceding and 1 preceding),
        0
    )::integer as running
from bucket
left join by_bucket using (starts_at)
order by bucket.starts_at

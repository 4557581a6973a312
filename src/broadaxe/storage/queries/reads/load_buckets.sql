-- How a tenant was doing over time: what ended, how long it had waited and run, and how much waited and ran on
-- average in each bucket. Called by LoadReads.of_tenant. What ended is counted (rides task_by_finish and reads no task); times are
-- those of a sample, the first $7 tasks to end in each of the $6 slices of a bucket, each of which stands for as many as
-- ended in its slice. So the cost is bounded however many tasks there were, and with few of them nothing is estimated.
-- Of tasks made before $5 only the number is known. $1 tenant, $2 window start (aligned), $3 now, $4 bucket width,
-- $8 live tasks looked at (rides task_live).
with bucket as (
    select generate_series($2::timestamptz, $3::timestamptz, $4::interval) as starts_at
),
slice as (
    select bucket.starts_at as bucket, bucket.starts_at + n * ($4 / $6::integer) as starts_at
    from bucket, generate_series(0, $6 - 1) n
    where bucket.starts_at + n * ($4 / $6) <= $3
),
ended as (
    select
        date_bin($4 / $6, t.finished_at, $2) as starts_at,
        count(*) as tasks,
        count(*) filter (where t.status in ('COMPLETED', 'SKIPPED')) as succeeded,
        count(*) filter (where t.status = 'FAILED') as failed,
        count(*) filter (where t.status = 'CANCELLED') as cancelled
    from broadaxe.task t
    where t.tenant_id = $1 and t.finished_at >= $2 and t.finished_at <= $3
    group by 1
),
ended_by_bucket as (
    select
        date_bin($4, ended.starts_at, $2) as starts_at, sum(ended.succeeded)::bigint as succeeded,
        sum(ended.failed)::bigint as failed, sum(ended.cancelled)::bigint as cancelled
    from ended
    group by 1
),
sample as (
    select
        slice.bucket, t.queued_at, t.started_at, t.finished_at,
        ended.tasks::double precision / count(*) over (partition by slice.starts_at) as weight
    from slice
    join ended using (starts_at)
    cross join lateral (
        select task.queued_at, task.started_at, task.finished_at
        from broadaxe.task task
        where task.tenant_id = $1 and task.id >= $5::uuid
            and task.finished_at >= slice.starts_at and task.finished_at < slice.starts_at + $4 / $6
            and task.finished_at <= $3
        order by task.finished_at
        limit $7
    ) t
),
waited as (
    select
        sample.bucket, sample.started_at - sample.queued_at as took,
        sum(sample.weight) over (partition by sample.bucket order by sample.started_at - sample.queued_at) as up_to,
        sum(sample.weight) over (partition by sample.bucket) as total
    from sample
    where sample.started_at >= sample.queued_at
),
ran as (
    select
        sample.bucket, sample.finished_at - sample.started_at as took,
        sum(sample.weight) over (partition by sample.bucket order by sample.finished_at - sample.started_at) as up_to,
        sum(sample.weight) over (partition by sample.bucket) as total
    from sample
    where sample.finished_at >= sample.started_at
),
waits as (
    select
        waited.bucket, min(waited.took) filter (where waited.up_to >= 0.5 * waited.total) as p50,
        min(waited.took) filter (where waited.up_to >= 0.95 * waited.total) as p95
    from waited
    group by waited.bucket
),
runs as (
    select
        ran.bucket, min(ran.took) filter (where ran.up_to >= 0.5 * ran.total) as p50,
        min(ran.took) filter (where ran.up_to >= 0.95 * ran.total) as p95
    from ran
    group by ran.bucket
),
-- When each task of the sample, and each that lives, began to wait, to run, and ended; null for what did not happen.
stay as (
    select
        case when coalesce(sample.started_at, sample.finished_at) >= sample.queued_at then sample.queued_at end as waits_at,
        sample.started_at as runs_at, sample.finished_at as ends_at, sample.weight
    from sample
    union all
    select
        case when live.status = 'QUEUED' or live.assigned_at >= live.queued_at then live.queued_at end,
        case when live.status = 'RUNNING' then live.assigned_at end, null, 1
    from (
        select t.status, t.queued_at, t.assigned_at
        from broadaxe.task t
        where t.tenant_id = $1 and t.finished_at is null
        limit $8
    ) as live
    where live.status in ('QUEUED', 'RUNNING')
),
-- What changed in each bucket, and which part of it counts there: what came in the middle was there half of the time.
change as (
    select
        moment.starts_at, sum(moved.waiting) as waiting, sum(moved.running) as running,
        sum(moved.waiting * moment.part) as waiting_here, sum(moved.running * moment.part) as running_here
    from stay
    cross join lateral (
        values
            (stay.waits_at, stay.weight, 0),
            (coalesce(stay.runs_at, stay.ends_at), case when stay.waits_at is null then 0 else -stay.weight end, 0),
            (stay.runs_at, 0, stay.weight),
            (case when stay.runs_at is not null then stay.ends_at end, 0, -stay.weight)
    ) as moved(at, waiting, running)
    cross join lateral (
        select
            date_bin($4, greatest(moved.at, $2), $2) as starts_at,
            least(date_bin($4, greatest(moved.at, $2), $2) + $4, $3) as ends_at
    ) as its
    cross join lateral (
        select
            its.starts_at,
            case when its.ends_at = its.starts_at then 1 else
                extract(epoch from its.ends_at - greatest(moved.at, $2)) / extract(epoch from its.ends_at - its.starts_at)
            end::double precision as part
    ) as moment
    where moved.at <= $3
    group by 1
)
select
    bucket.starts_at, coalesce(ended.succeeded, 0) as succeeded, coalesce(ended.failed, 0) as failed,
    coalesce(ended.cancelled, 0) as cancelled, waits.p50 as waited_p50, waits.p95 as waited_p95,
    runs.p50 as ran_p50, runs.p95 as ran_p95,
    coalesce(sum(change.waiting) over before, 0) + coalesce(change.waiting_here, 0) as waiting,
    coalesce(sum(change.running) over before, 0) + coalesce(change.running_here, 0) as running
from bucket
left join ended_by_bucket ended on ended.starts_at = bucket.starts_at
left join waits on waits.bucket = bucket.starts_at
left join runs on runs.bucket = bucket.starts_at
left join change on change.starts_at = bucket.starts_at
window before as (order by bucket.starts_at rows between unbounded preceding and 1 preceding)
order by bucket.starts_at

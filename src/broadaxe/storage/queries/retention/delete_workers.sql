-- Deletes workers last heard of before day $1 that no live task was given to, at most $2; says how many. Called by
-- `retention.enforce`. Looks at all workers of all tenants, a few times a day; rides task_by_worker for each old one.
with unused as (
    select w.tenant_id, w.id
    from broadaxe.worker w
    where w.seen_on < $1
        and not exists (
            select from broadaxe.task t
            where t.tenant_id = w.tenant_id and t.worker_id = w.id and t.finished_at is null
        )
    limit $2
    for update of w skip locked
),
gone as (
    delete from broadaxe.worker w
    using unused
    where w.tenant_id = unused.tenant_id and w.id = unused.id
    returning w.id
)
select count(*) from gone

-- The results of the tasks of finished runs. Called by Reads.run_results for waiters, so it fetches nothing else,
-- and leaves out what callers are not told of: a key task that ended well.
-- Rides the primary keys and task_by_run. $1 tenant, $2 runs, $3 smallest id a task of theirs can have.
with finished as (
    select r.id, r.status
    from broadaxe.run r
    where r.tenant_id = $1 and r.id = any($2::uuid[]) and r.finished_at is not null
),
member as (
    select t.* from broadaxe.task t where t.tenant_id = $1 and t.id = any($2::uuid[])
    union all
    select t.*
    from broadaxe.task t
    where t.tenant_id = $1 and t.run_id = any($2::uuid[]) and t.id <> t.run_id and t.id >= $3::uuid
)
select
    finished.id as run_id, finished.status as run_status, member.id, member.name, member.status, member.output, member.error
from finished
join member on member.run_id = finished.id
where member.name <> '(group key)' or member.status in ('FAILED', 'CANCELLED')
order by finished.id, member.created_at, member.id

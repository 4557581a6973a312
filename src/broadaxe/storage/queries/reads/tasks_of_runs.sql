-- The tasks of some runs, in the order they were made. Called by Reads wherever a run is shown, and for waiters' results.
-- The first arm finds the task of a single-task run by primary key (same id), the second the members of a DAG by
-- task_by_run. $1 tenant, $2 runs, $3 smallest id a task of theirs can have, $4 whether outputs are wanted, $5 limit.
with member as (
    select t.* from broadaxe.task t where t.tenant_id = $1 and t.id = any($2::uuid[])
    union all
    select t.*
    from broadaxe.task t
    where t.tenant_id = $1 and t.run_id = any($2::uuid[]) and t.id <> t.run_id and t.id >= $3::uuid
)
select
    member.id, member.run_id, member.definition_id, member.name, member.action_id, member.display_name, member.status,
    member.retry_count, member.worker_id, case when $4::boolean then member.output end as output, member.error,
    member.created_at, member.queued_at, member.finished_at,
    case when member.status = 'RUNNING' then started.at else member.started_at end as started_at,
    (
        select count(*)
        from broadaxe.run child
        where child.tenant_id = member.tenant_id and child.parent_task_id = member.id
            and child.id >= $3::uuid and child.id >= broadaxe.id_floor(member.created_at - interval '1 minute')
    ) as spawned_children
from member
left join lateral (
    select e.at
    from broadaxe.task_event e
    where member.status = 'RUNNING' and e.tenant_id = member.tenant_id and e.task_id = member.id and e.task_id >= $3::uuid
        and e.type = 'STARTED' and e.retry_count = member.retry_count
    order by e.seq desc
    limit 1
) as started on true
order by member.created_at, member.id
limit $5

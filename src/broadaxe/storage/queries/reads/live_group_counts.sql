-- Under which concurrency keys the live tasks of some definitions wait or run. Called by CountReads.live_group_counts.
-- Rides task_live and the primary key of run; costs one pass over the live tasks. $1 tenant, $2 task definitions,
-- $3 the place of each in its workflow, $4 limit. The keys are those of core/keys.py: RunKeys is [groups, tasks], a task's
-- [groups, …], a group [key, max_runs].
select
    t.definition_id, t.status = 'RUNNING' as is_running, r.concurrency_held as run_held, t.concurrency_held as held,
    r.keys -> 0 as run_groups, r.keys -> 1 -> wanted.place -> 0 as groups, count(*) as tasks
from broadaxe.task t
join unnest($2::uuid[], $3::integer[]) as wanted (definition_id, place) on wanted.definition_id = t.definition_id
join broadaxe.run r on r.tenant_id = t.tenant_id and r.id = t.run_id
where t.tenant_id = $1 and t.finished_at is null and t.status in ('QUEUED', 'RUNNING')
    and not exists (
        select 1
        from broadaxe.workflow w
        where w.tenant_id = t.tenant_id and w.id = t.workflow_id and w.paused_at is not null and t.status = 'QUEUED'
    )
group by 1, 2, 3, 4, 5, 6
order by tasks desc
limit $4

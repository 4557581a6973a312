-- The workers that attempts of a run were given to. Called by RunFacts.of; rides task_by_run, the task and task_event primary
-- keys and the worker primary key. $1 tenant, $2 run, $3 smallest id a task of the run can have, $4 limit.
with member as (
    select t.id from broadaxe.task t where t.tenant_id = $1 and t.id = $2::uuid
    union all
    select t.id from broadaxe.task t where t.tenant_id = $1 and t.run_id = $2 and t.id <> t.run_id and t.id >= $3::uuid
),
used as (
    select distinct e.worker_id
    from member
    join broadaxe.task_event e on e.tenant_id = $1 and e.task_id = member.id and e.task_id >= $3
    where e.worker_id is not null and e.type = 'ASSIGNED'
)
select w.id, w.name
from used
join broadaxe.worker w on w.tenant_id = $1 and w.id = used.worker_id
order by w.name, w.id
limit $4

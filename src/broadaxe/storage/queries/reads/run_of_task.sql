-- Which run a task belongs to, within the tenants the caller may see. Called by Reads.task and Reads.run_details.
-- Rides the task primary key. $1 tenants, $2 task.
select t.tenant_id, t.run_id
from broadaxe.task t
where t.tenant_id = any($1::uuid[]) and t.id = $2

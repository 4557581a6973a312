-- The registered name that is meant by $2: itself, else the oldest that differs in case only. Called by
-- CalendarReads.workflow_name. Rides workflow_by_name; a tenant has few workflows.
select name
from broadaxe.workflow
where tenant_id = $1 and deleted_at is null and lower(name) = lower($2)
order by name = $2 desc, id
limit 1

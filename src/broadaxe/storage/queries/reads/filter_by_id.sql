-- One event filter. Called by EventReads.filter; rides event_filter_pkey. $1 tenant, $2 filter.
select f.id, f.workflow_id, f.scope, f.expression, f.payload, f.is_declared, f.created_at, f.updated_at
from broadaxe.event_filter f
where f.tenant_id = $1 and f.id = $2

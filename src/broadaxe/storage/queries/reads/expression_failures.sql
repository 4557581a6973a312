-- Expressions that failed where nobody was told, newest first. Called by EventReads.expression_failures.
-- Rides expression_failure_pkey backwards; a tenant has a thousand at most. $1 tenant, $2 sources (null means all),
-- $3 limit, $4 offset, $5 the failure behind which to begin or null.
select f.id, f.source, f.message, f.workflow_id, f.event_id, f.at
from broadaxe.expression_failure f
where f.tenant_id = $1 and ($2::text[] is null or f.source = any($2)) and ($5::uuid is null or f.id < $5)
order by f.id desc
limit $3 offset $4

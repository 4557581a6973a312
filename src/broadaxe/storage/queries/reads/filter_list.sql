-- One page of event filters, newest first. Called by EventReads.filters_page.
-- Rides event_filter_pkey backwards, event_filter_by_workflow or event_filter_by_scope.
-- $1 tenant, $2 workflows, $3 scopes, $4 limit, $5 offset, $6 the filter behind which to begin. Null means no filter.
select f.id, f.workflow_id, f.scope, f.expression, f.payload, f.is_declared, f.created_at, f.updated_at
from broadaxe.event_filter f
where f.tenant_id = $1
    and ($2::uuid[] is null or f.workflow_id = any($2))
    and ($3::text[] is null or f.scope = any($3))
    and ($6::uuid is null or f.id < $6)
order by f.id desc
limit $4 offset $5

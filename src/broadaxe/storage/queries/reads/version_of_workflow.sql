-- One version of a workflow, the latest unless $3 names one. Called by Catalogue.version.
-- Rides the unique (tenant_id, workflow_id, ordinal). $1 tenant, $2 workflow, $3 version or null.
select v.id, v.workflow_id, v.ordinal, v.label, v.definition, v.created_at
from broadaxe.workflow_version v
where v.tenant_id = $1 and v.workflow_id = $2 and ($3::uuid is null or v.id = $3)
order by v.ordinal desc
limit 1

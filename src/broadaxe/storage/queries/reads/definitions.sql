-- The definitions of some workflow versions. Called by Catalogue.definitions, which keeps them.
-- Rides the workflow_version primary key. $1 tenant, $2 versions.
select v.id, v.definition
from broadaxe.workflow_version v
where v.tenant_id = $1 and v.id = any($2::uuid[])

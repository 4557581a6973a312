-- The tokens of a tenant that are not revoked, newest first. Called by tokens.list_tokens.
-- Rides api_token_by_tenant. $1 tenant, $2 limit.
select id, tenant_id, name, created_at, updated_at, expires_at
from broadaxe.api_token
where tenant_id = $1 and revoked_at is null
order by id desc
limit $2

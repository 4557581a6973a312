-- The tokens of a tenant that are not revoked, newest first. Called by tokens.list_tokens.
-- Rides api_token_by_tenant. $1 tenant, $2 limit, $3 the token behind which to begin or null, $4 what names must
-- contain, in either case of letters, or null.
select
    id, tenant_id, name, created_at, updated_at, expires_at, last_used_at, role, made_by, replaced_by, topic_namespace, topic
from broadaxe.api_token
where tenant_id = $1 and revoked_at is null and ($3::uuid is null or id < $3)
    and ($4::text is null or strpos(lower(name), lower($4)) > 0)
order by id desc
limit $2

-- The token with this hash, if it counts today. Called by TokenVerifier.verify.
-- Rides the unique index on token_hash. $1 hash.
select id, tenant_id, expires_at
from broadaxe.api_token
where token_hash = $1 and revoked_at is null and expires_at > now()

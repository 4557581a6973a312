-- Those of these hashes that are tokens which count today. Called by TokenVerifier, many calls at a time.
-- Rides the unique index on token_hash. $1 hashes.
select token_hash, id, tenant_id, expires_at
from broadaxe.api_token
where token_hash = any($1::bytea[]) and revoked_at is null and expires_at > now()

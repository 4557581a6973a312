-- Those of these tokens that count today. Called by TokenVerifier for the tokens of open streams.
-- Rides the primary key. $1 token ids.
select id
from broadaxe.api_token
where id = any($1::uuid[]) and revoked_at is null and expires_at > now()

-- Lets a token that counts end soon, and tells what it was. Called by tokens.rotate_token. Rides the primary key.
-- $1 token id, $2 seconds it goes on counting.
with found as (
    select id, expires_at as ended_at from broadaxe.api_token
    where id = $1 and revoked_at is null and expires_at > now()
    for update
)
update broadaxe.api_token t
set expires_at = least(t.expires_at, now() + $2 * interval '1 second'), updated_at = now()
from found
where t.id = found.id
returning
    t.tenant_id, t.name, t.role, t.topic_namespace, t.topic, t.expires_at,
    extract(epoch from found.ended_at - t.created_at)::bigint as life_s

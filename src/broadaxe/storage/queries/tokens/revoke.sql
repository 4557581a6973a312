-- Revokes a token; nothing happens to one that is revoked already, which is told. Called by tokens.revoke_token.
-- Rides the primary key. $1 token id.
with found as (
    select id, revoked_at is not null as was_revoked from broadaxe.api_token where id = $1 for update
)
update broadaxe.api_token t
set revoked_at = coalesce(t.revoked_at, now()), updated_at = now()
from found
where t.id = found.id
returning t.tenant_id, t.name, t.role, found.was_revoked

-- Revokes a token; nothing happens to one that is revoked already. Called by tokens.revoke_token.
-- Rides the primary key. $1 token id.
update broadaxe.api_token
set revoked_at = coalesce(revoked_at, now()), updated_at = now()
where id = $1
returning id

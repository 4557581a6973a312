-- Gives an invite another role, or another secret and with it another life. Called by invites.change and invites.renew.
-- Rides the primary key. $1 id, $2 role or null, $3 hash of the new secret or null, $4 seconds it counts from now.
update broadaxe.invite
set role = coalesce($2, role), secret_hash = coalesce($3, secret_hash), updated_at = now(),
    expires_at = case when $3::bytea is null then expires_at else now() + $4 * interval '1 second' end
where id = $1
returning role, updated_at, expires_at

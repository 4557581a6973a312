-- Keeps a new link and drops the account's that have expired. Called by password_resets.make. Rides
-- password_reset_by_account. $1 hash of the secret, $2 account, $3 seconds it counts.
with gone as (
    delete from broadaxe.password_reset where account_id = $2 and expires_at <= now()
)
insert into broadaxe.password_reset (secret_hash, account_id, expires_at)
values ($1, $2, now() + $3 * interval '1 second')

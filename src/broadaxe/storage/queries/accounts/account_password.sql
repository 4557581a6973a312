-- Replaces a password, and ends the links that would set another one and every session of the account but the one that
-- asked. Called by accounts.put_password. Rides session_by_account and password_reset_by_account.
-- $1 account, $2 new hash, $3 hash of the session cookie to keep, or null.
with changed as (
    update broadaxe.account set password_hash = $2, updated_at = now() where id = $1
    returning id, email, name, created_at, updated_at
),
links as (
    delete from broadaxe.password_reset where account_id = $1
),
ended as (
    delete from broadaxe.session where account_id = $1 and token_hash is distinct from $3::bytea
)
select id, email, name, created_at, updated_at from changed

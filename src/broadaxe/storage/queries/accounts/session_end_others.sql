-- Ends every session of an account but the one that asks. Called by accounts.end_other_sessions.
-- Rides session_by_account. $1 account, $2 hash of the cookie that asks, or null.
with ended as (
    delete from broadaxe.session where account_id = $1 and token_hash is distinct from $2::bytea
    returning expires_at
)
select count(*) from ended where expires_at > now()

-- The sessions of an account that have not expired, newest first. Called by accounts.sessions_of_account.
-- Rides session_by_account. $1 account, $2 hash of the cookie that asks, or null, $3 limit, $4/$5 the session behind
-- which to begin (instant, id) or null.
select id, device, created_at, last_used_at, expires_at, token_hash is not distinct from $2::bytea as is_current
from broadaxe.session
where account_id = $1 and expires_at > now()
    and ($4::timestamptz is null or (created_at, id) < ($4, $5::uuid))
order by created_at desc, id desc
limit $3

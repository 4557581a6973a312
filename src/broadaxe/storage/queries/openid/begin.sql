-- Keeps a sign-in that is under way, and drops those that were given up. Called by openid.begin. Rides
-- openid_sign_in_by_end. $1 hash of the state, $2 hash of the browser's cookie, $3 provider, $4 nonce, $5 verifier,
-- $6 where to go afterwards, $7 seconds it counts.
with gone as (
    delete from broadaxe.openid_sign_in where expires_at <= now()
)
insert into broadaxe.openid_sign_in (state_hash, browser_hash, provider, nonce, verifier, next, expires_at)
values ($1, $2, $3, $4, $5, $6, now() + $7 * interval '1 second')

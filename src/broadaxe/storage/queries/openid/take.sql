-- Takes a sign-in that is under way, once, whatever comes of it. Called by openid.take. Rides the primary key.
-- $1 hash of the state, $2 hash of the browser's cookie, $3 provider.
delete from broadaxe.openid_sign_in
where state_hash = $1 and browser_hash = $2 and provider = $3 and expires_at > now()
returning nonce, verifier, next

-- Opens a session, and forgets the account's expired ones on the way. Called by accounts.open_session.
-- $1 cookie hash, $2 account, $3 expires, $4 what the browser calls itself, $5 provider that vouched, or null, $6 its sealed
-- ID token, or null.
with swept as (
    delete from broadaxe.session where account_id = $2 and expires_at <= now()
)
insert into broadaxe.session (token_hash, account_id, expires_at, device, provider, id_token)
values ($1, $2, $3, $4, $5, $6)

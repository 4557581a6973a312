-- Ends one session of an account by its id. Called by accounts.end_session. Rides session_by_account.
-- $1 account, $2 session.
delete from broadaxe.session where account_id = $1 and id = $2 returning device

-- Ends a session. Called by accounts.close_session. Rides the primary key. $1 cookie hash.
delete from broadaxe.session where token_hash = $1 returning account_id, provider, id_token

-- Notes that a session is in use, at most once in ten minutes. Called by accounts.person_of_session. Rides the primary
-- key. $1 cookie hash.
update broadaxe.session set last_used_at = now()
where token_hash = $1 and last_used_at < now() - interval '10 minutes'

-- Leaves the mark $1 in the session, to see who else comes upon it; the process that serves the session. Called by
-- storage/connections.py.
select case when set_config('broadaxe_session.mark', $1::text, false) is not null then pg_backend_pid() end

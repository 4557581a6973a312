-- The mark that was left in the session, and the process that serves it. Called by storage/connections.py.
select current_setting('broadaxe_session.mark', true) as mark, pg_backend_pid() as process_id

-- The mark that was left in the session, if any. Called by storage/connections.py.
select current_setting('broadaxe_session.mark', true)

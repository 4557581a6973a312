-- What tells one database of one running server from all others. Called by storage/connections.py.
select pg_postmaster_start_time() as started_at, oid from pg_database where datname = current_database()

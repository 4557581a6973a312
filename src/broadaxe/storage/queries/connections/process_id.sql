-- Which process of PostgreSQL serves the session. Called by storage/connections.py.
select pg_backend_pid()

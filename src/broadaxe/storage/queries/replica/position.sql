-- How far the primary has written, in bytes: what is committed by now is before it. Called by storage/read_replica.py.
select (pg_current_wal_flush_lsn() - '0/0')::bigint

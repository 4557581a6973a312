-- How far this replica has come, in bytes (null if the server is none), and whether that is as far as $1; the seconds
-- since what it did last was committed. Called by storage/read_replica.py.
select
    (pg_last_wal_replay_lsn() - '0/0')::bigint >= $1::bigint as is_there,
    extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())::float8 as age_s
where pg_is_in_recovery()

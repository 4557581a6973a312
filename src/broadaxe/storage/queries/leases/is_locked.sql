-- Whether the lock is held, as other nodes see it. Called by cluster/leases.py.
select exists (
    select from pg_locks
    where locktype = 'advisory' and granted and objsubid = 2 and classid = 1113751629 and objid = $1::oid
        and database = (select oid from pg_database where datname = current_database())
)

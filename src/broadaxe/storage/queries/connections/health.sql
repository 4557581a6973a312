-- What an engine depends on that a server, a database and a role may have otherwise. Called by cli/database_checks.py;
-- everybody may ask all of it.
select
    current_setting('server_version') as version,
    current_setting('server_version_num')::int / 10000 as version_major,
    clock_timestamp() as now,
    pg_is_in_recovery() as is_standby,
    current_setting('default_transaction_read_only')::boolean as is_read_only,
    current_setting('server_encoding') as encoding,
    current_setting('fsync')::boolean as has_fsync,
    current_setting('full_page_writes')::boolean as has_full_page_writes,
    current_setting('synchronous_commit') as synchronous_commit,
    current_setting('max_connections')::int
        - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true)::int, 0) as connections_max,
    (select sum(numbackends) from pg_stat_database)::int as connections,
    nullif(r.rolconnlimit, -1) as connections_max_of_role,
    nullif(d.datconnlimit, -1) as connections_max_of_database,
    r.rolname as role,
    d.datname as database,
    has_database_privilege(d.oid, 'create') as may_create_schema,
    to_regnamespace('broadaxe') is not null as has_schema,
    to_regnamespace('broadaxe') is null or has_schema_privilege(to_regnamespace('broadaxe'), 'usage') as may_use_schema,
    to_regnamespace('broadaxe') is null or has_schema_privilege(to_regnamespace('broadaxe'), 'create') as may_fill_schema,
    exists (select from pg_class as c where c.relnamespace = to_regnamespace('broadaxe')) as has_tables,
    -- Partitions are made and dropped all the time, which only an owner may do.
    (
        select pg_get_userbyid(c.relowner)
        from pg_class as c
        where c.relnamespace = to_regnamespace('broadaxe') and c.relkind in ('r', 'p')
            and not pg_has_role(c.relowner, 'usage')
        limit 1
    ) as foreign_owner
from pg_database as d, pg_roles as r
where d.datname = current_database() and r.rolname = current_user

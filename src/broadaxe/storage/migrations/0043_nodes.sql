-- Nodes: engine processes on this database, each with a row that it keeps alive for all its leases at once.
-- A lease whose `expires_at` is infinity lives as long as its node does; 'epoch' is one that was given back; anything else
-- is a lease of an engine from before this table, which renews it by itself.
create table broadaxe.node (
    id uuid primary key,
    address text not null,
    -- Where other nodes reach its tenants; null for one that cannot be reached.
    link_address text,
    version text not null,
    -- The session lock that it holds while it lives; null where it can hold none.
    lock_id integer check (lock_id > 0),
    started_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null
);

-- What nodes prove to each other that they are of one cluster by: whoever reads this reads everything.
create table broadaxe.cluster (
    is_only boolean primary key default true check (is_only),
    link_secret bytea not null check (length(link_secret) >= 32)
);

-- Whether a node is gone: its row has run out, or the session that held its lock has ended.
-- 1113751629 is the class of these locks.
create function broadaxe.is_gone(node uuid) returns boolean
    language sql stable set search_path = pg_catalog, pg_temp as $$
select not exists (
    select from broadaxe.node as n
    where n.id = is_gone.node and n.expires_at >= clock_timestamp()
        and (n.lock_id is null or exists (
            select from pg_locks as l
            where l.locktype = 'advisory' and l.granted and l.objsubid = 2
                and l.classid = 1113751629 and l.objid = n.lock_id::oid
                and l.database = (select oid from pg_database where datname = current_database())
        ))
)
$$;

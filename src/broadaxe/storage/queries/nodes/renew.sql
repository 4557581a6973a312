-- Keeps a node alive, and with it all its leases; returns all that live, its own row first. A lock is named in the row while
-- it is seen to be held: behind a pooler the session that took it may be another one by now. Called by
-- cluster/members.py; rides node_pkey.
-- $1 node, $2 address, $3 link address, $4 version, $5 lock, $6 seconds, $7 whether it steps down, $8 load.
with held as materialized (
    select objid::bigint as lock_id
    from pg_locks
    where locktype = 'advisory' and granted and objsubid = 2 and classid = 1113751629
        and database = (select oid from pg_database where datname = current_database())
),
mine as (
    insert into broadaxe.node as n
        (id, address, link_address, version, lock_id, expires_at, draining_at, load)
    values (
        $1, $2, $3, $4, (select $5::integer where $5 in (select lock_id from held)),
        clock_timestamp() + $6 * interval '1 second', case when $7 then clock_timestamp() end, $8
    )
    on conflict (id) do update set
        lock_id = excluded.lock_id,
        expires_at = excluded.expires_at,
        draining_at = coalesce(n.draining_at, excluded.draining_at),
        load = excluded.load,
        renewed_at = clock_timestamp()
    returning id, address, link_address, version, started_at, draining_at, load
)
select
    m.id, m.address, m.link_address, m.version, m.draining_at is not null as is_draining, m.load,
    m.started_at, extract(epoch from clock_timestamp() - m.started_at)::float8 as age_s
from mine as m
union all
select
    n.id, n.address, n.link_address, n.version, n.draining_at is not null, n.load,
    n.started_at, extract(epoch from clock_timestamp() - n.started_at)::float8
from broadaxe.node as n
where n.id <> $1 and n.expires_at >= clock_timestamp()
    and (n.lock_id is null or n.lock_id in (select lock_id from held))

-- Keeps a node alive, and with it all its leases. Called by cluster/leases.py; rides node_pkey.
-- $1 node, $2 address, $3 link address, $4 version, $5 lock, $6 seconds.
insert into broadaxe.node as n (id, address, link_address, version, lock_id, expires_at)
values ($1, $2, $3, $4, $5, clock_timestamp() + $6 * interval '1 second')
on conflict (id) do update set lock_id = excluded.lock_id, expires_at = excluded.expires_at

-- Whether a node still holds a tenant's lease; if so it goes on holding it for the rest of the transaction.
-- A function, because the lock may have to wait for a renewal, and Postgres then looks at the row again by way of the
-- plan around it. Around a batch that is the plan of every write, with partitions to prune: Postgres 18 crashes there.
-- In here it is the plan of one row.
create function broadaxe.hold_lease(tenant uuid, node uuid, held_epoch bigint) returns boolean
    language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
    perform 1
    from broadaxe.lease as l
    where l.tenant_id = hold_lease.tenant and l.node_id = hold_lease.node and l.epoch = hold_lease.held_epoch
    for share;
    return found;
end
$$;

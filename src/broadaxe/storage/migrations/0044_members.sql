-- What nodes tell each other of themselves with the row they keep alive, and who a tenant was handed over to.
alter table broadaxe.node
    -- Since when it hands its tenants over and takes none; null for one that does not.
    add column draining_at timestamptz,
    add column renewed_at timestamptz not null default clock_timestamp(),
    -- How many cores its process keeps busy.
    add column load real not null default 0;

alter table broadaxe.lease
    -- The node that a lease which was given back was meant for; null for nobody.
    add column successor uuid;

-- Tenants that were deleted and may still have rows. The tenant's own row is gone from the beginning: nothing of it is
-- found, and no engine gets its lease, which went with it.
create table broadaxe.deleted_tenant (
    id uuid primary key,
    deleted_at timestamptz not null default clock_timestamp()
);

-- Deletes rows of a tenant that is gone, at most so many of each table; returns how many. 0 while somebody else does it.
create function broadaxe.sweep_tenant(tenant uuid, at_most integer) returns bigint
    language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
    found_table record;
    swept bigint := 0;
    more bigint;
begin
    if not pg_try_advisory_xact_lock(1113751630, hashtext(sweep_tenant.tenant::text))
        or exists (select from broadaxe.tenant as t where t.id = sweep_tenant.tenant) then
        return 0;
    end if;
    for found_table in
        select c.oid::regclass as name
        from pg_class as c
        join pg_attribute as a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
        where c.relkind = 'r' and c.relnamespace = (
            select t.relnamespace from pg_class as t where t.oid = 'broadaxe.deleted_tenant'::regclass
        )
    loop
        execute format(
            'delete from %1$s where ctid = any (array(select ctid from %1$s where tenant_id = $1 limit $2))',
            found_table.name
        ) using sweep_tenant.tenant, sweep_tenant.at_most;
        get diagnostics more = row_count;
        swept := swept + more;
    end loop;
    return swept;
end
$$;
